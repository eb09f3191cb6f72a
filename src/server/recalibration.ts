import type { Logger } from 'pino';
import { NearvoteError } from '../domain/errors.js';
import type { TaughtCalibration } from '../calibrate/taught-aside.js';

export interface RecalibrationOptions {
  /** Folds the changes into a version, so that the calibration is of all of them. */
  readonly compact: () => Promise<unknown>;
  readonly calibrate: (share: number) => Promise<TaughtCalibration>;
  /** Serves what is published now, with its calibration. */
  readonly reload: () => Promise<unknown>;
  readonly logger: Pick<Logger, 'info' | 'error'>;
}

/**
 * Calibrates a served index on what it was taught and serves that. Who asks meanwhile for the same share has the same answer;
 * for another share, its turn comes after that.
 * @returns `share` of what was taught, in (0, 1], to what came of it
 */
export function createRecalibration(
  options: RecalibrationOptions,
): (share: number) => Promise<TaughtCalibration> {
  const { compact, calibrate, reload, logger } = options;
  const running = new Map<number, Promise<TaughtCalibration>>();
  let last: Promise<unknown> = Promise.resolve();

  async function run(share: number): Promise<TaughtCalibration> {
    try {
      await compact();
      const calibrated = await calibrate(share);
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

  return (share) => {
    const shared = running.get(share);
    if (shared !== undefined) return shared;
    const next = last.then(() => run(share)).finally(() => running.delete(share));
    last = next.catch(() => undefined);
    running.set(share, next);
    return next;
  };
}
