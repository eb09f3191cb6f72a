export interface StopSignals {
  readonly asked: () => boolean;
  readonly unwatch: () => void;
}

/** The first signal asks for a checkpoint and an end after the step at work; a second one ends at once. */
export function watchSignals(): StopSignals {
  let asked = false;
  const onSignal = (): void => {
    if (asked) process.exit(1);
    asked = true;
    console.error('nearvote: stopping after this step; once more to stop at once');
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    asked: () => asked,
    unwatch: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal),
  };
}
