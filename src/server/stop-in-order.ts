import type { Logger } from 'pino';

export interface StopInOrderOptions {
  /** After this long it exits with 1, whatever is left. */
  readonly graceMs: number;
  readonly logger: Pick<Logger, 'info' | 'error' | 'fatal'>;
  /** Resolves when everything has ended. */
  readonly stop: () => Promise<void>;
  /** The last thing before the process ends; it takes a bounded time. */
  readonly flush: () => Promise<void>;
}

/** npm passes a signal on that a terminal has sent to its whole group: the server gets it twice. */
const npmRepeatMs = 1000;
const parentCheckMs = 500;
/** A script of npm that runs this program, not one whose grandchild it is. */
const ownScript = /nearvote|cli\/main\.js/;

/**
 * Stops once when SIGTERM or SIGINT comes, or under npm when npm is gone, and then exits with 0, or with 1 where the
 * grace was over first; after an unexpected error always with 1. A second signal exits at once.
 *
 * SIGSEGV and the other faults are left alone: a handler in JavaScript is never reached, and the instruction would fault
 * again for ever.
 * @returns takes all of this back
 */
export function stopInOrder({ graceMs, logger, stop, flush }: StopInOrderOptions): () => void {
  const underNpm = ownScript.test(process.env.npm_lifecycle_script ?? '');
  let toldAt: number | undefined;

  function exit(code: number): void {
    // What cannot be flushed within its time is lost.
    void flush().finally(() => process.exit(code));
  }

  function begin(code: number, stopped: () => Promise<void>): void {
    toldAt = performance.now();
    setTimeout(() => {
      logger.error(`stopped after the grace of ${graceMs} ms, before everything had ended`);
      exit(1);
    }, graceMs);
    stopped().then(
      () => exit(code),
      (err: unknown) => {
        logger.error({ err }, 'could not stop in order');
        exit(1);
      },
    );
  }

  function onSignal(signal: string): void {
    if (toldAt === undefined) {
      logger.info({ signal }, 'stopping');
      begin(0, stop);
    } else if (!underNpm || performance.now() - toldAt > npmRepeatMs) {
      logger.error({ signal }, 'stopping at once after a second signal');
      process.exit(1);
    }
  }

  function onError(err: unknown): void {
    logger.fatal({ err }, 'stopping after an unexpected error');
    if (toldAt === undefined) begin(1, stop);
    else process.exit(1);
  }

  const parent = process.ppid;
  const parentCheck = setInterval(() => {
    if (underNpm && process.ppid !== parent && toldAt === undefined) onSignal('the end of npm');
  }, parentCheckMs).unref();

  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  process.on('uncaughtException', onError).on('unhandledRejection', onError);
  return () => {
    clearInterval(parentCheck);
    process.off('SIGTERM', onSignal).off('SIGINT', onSignal);
    process.off('uncaughtException', onError).off('unhandledRejection', onError);
  };
}
