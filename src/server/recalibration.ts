import type { Logger } from 'pino';
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
 * Calibrates a served index on what it was taught and serves that; who asks meanwhile shares it.
 * @returns `share` of what was taught, in (0, 1], to what came of it
 */
export function createRecalibration(
  options: RecalibrationOptions,
): (share: number) => Promise<TaughtCalibration> {
  const { compact, calibrate, reload, logger } = options;
  let running: Promise<TaughtCalibration> | undefined;

  async function run(share: number): Promise<TaughtCalibration> {
    try {
      await compact();
      const calibrated = await calibrate(share);
      await reload();
      const { fittedFor, images } = calibrated;
      logger.info({ version: fittedFor, images }, 'calibrated');
      return calibrated;
    } catch (err) {
      logger.error({ err }, 'the calibration failed; the one from before goes on');
      throw err;
    }
  }

  return (share) => (running ??= run(share).finally(() => (running = undefined)));
}
