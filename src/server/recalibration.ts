import type { Logger } from 'pino';
import { NearvoteError } from '../domain/errors.js';
import type { AskedCalibration, TaughtCalibration } from '../calibrate/taught-aside.js';

export interface RecalibrationOptions {
  /** Folds the changes into a version, so that the calibration is of all of them. */
  readonly compact: () => Promise<unknown>;
  readonly calibrate: (asked: AskedCalibration) => Promise<TaughtCalibration>;
  /** Serves what is published now, with its calibration. */
  readonly reload: () => Promise<unknown>;
  readonly logger: Pick<Logger, 'info' | 'error'>;
}

/**
 * Calibrates a served index on what it was taught and serves that. Who asks meanwhile for the same has the same answer;
 * for another, its turn comes after that.
 */
export function createRecalibration(
  options: RecalibrationOptions,
): (asked: AskedCalibration) => Promise<TaughtCalibration> {
  const { compact, calibrate, reload, logger } = options;
  const running = new Map<string, Promise<TaughtCalibration>>();
  let last: Promise<unknown> = Promise.resolve();

  async function run(asked: AskedCalibration): Promise<TaughtCalibration> {
    try {
      await compact();
      const calibrated = await calibrate(asked);
      await reload();
      const { fittedFor, images } = calibrated;
      logger.info({ version: fittedFor, images }, 'calibrated');
      return calibrated;
    } catch (err) {
      // Too few examples are no fault of the server.
      const level = err instanceof NearvoteError && err.code === 'calibration_unfit' ? 'info' : 'error';
      logger[level]({ err }, 'the calibration failed; the one from before goes on');
      throw err;
    }
  }

  return (asked) => {
    const key = JSON.stringify([asked.share, asked.replace]);
    const shared = running.get(key);
    if (shared !== undefined) return shared;
    const next = last.then(() => run(asked)).finally(() => running.delete(key));
    last = next.catch(() => undefined);
    running.set(key, next);
    return next;
  };
}
