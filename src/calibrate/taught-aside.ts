import { NearvoteError } from '../domain/errors.js';
import type { CalibrationFile } from '../examples/calibration-file.js';
import { runAside } from '../processes/run-aside.js';
import { compiledModule } from '../processes/supervised-child.js';
import type { CalibrateTaughtOptions } from './calibrate-taught.js';

export type TaughtJob = Omit<CalibrateTaughtOptions, 'now'>;

export interface AskedCalibration {
  /** Of what was taught, in (0, 1]. */
  readonly share: number;
  /** Whether it takes the place of a better one. */
  readonly replace: boolean;
}

/** What came of a calibration, without the thousands of numbers that are in its file. */
export interface TaughtCalibration {
  /** How many it was fitted on. */
  readonly images: number;
  readonly fittedFor: string;
  readonly confidence: CalibrationFile['confidence']['kind'];
  readonly figures: CalibrationFile['figures'];
  /** What whoever uses it should know, in sentences. */
  readonly warnings: readonly string[];
}

/**
 * Calibrates an index on what it was taught in a process of its own, on what others leave of the cores.
 * @throws NearvoteError `calibration_unfit` where that is too little, what else `calibrateTaught` throws, `worker_failed`
 */
export async function calibrateTaughtAside(job: TaughtJob): Promise<TaughtCalibration> {
  const file = compiledModule('./taught-process.js', import.meta.url);
  try {
    return (await runAside(file, job)) as TaughtCalibration;
  } catch (error) {
    if (!(error instanceof NearvoteError) || error.code !== 'dataset_invalid') throw error;
    throw new NearvoteError('calibration_unfit', error.message, { cause: error });
  }
}
