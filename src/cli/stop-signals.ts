import { printError } from './printable.js';

export interface StopSignals {
  /** Aborted when somebody wants the command to stop. */
  readonly signal: AbortSignal;
  readonly unwatch: () => void;
}

/** The first SIGINT or SIGTERM asks for an end in order, and `said` is printed; a second one ends the process at once. */
export function watchSignals(said: string): StopSignals {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(1);
    stop.abort();
    printError(`nearvote: ${said}`);
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    signal: stop.signal,
    unwatch: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal),
  };
}
