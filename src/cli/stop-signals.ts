export interface StopSignals {
  readonly signal: AbortSignal;
  readonly unwatch: () => void;
}

/** The first signal asks for a checkpoint and an end after the step at work; a second one ends at once. */
export function watchSignals(): StopSignals {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(1);
    stop.abort();
    console.error('nearvote: stopping after this step; once more to stop at once');
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    signal: stop.signal,
    unwatch: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal),
  };
}
