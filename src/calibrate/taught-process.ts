/* The process that calibrates a served index on what it was taught; calibrate/taught-aside.ts starts it. */
import { answerRunAside } from '../processes/answer-run-aside.js';
import { calibrateTaught } from './calibrate-taught.js';
import { calibrationWarnings, nothingUnknown } from './calibration-warnings.js';
import type { TaughtCalibration, TaughtJob } from './taught-aside.js';

answerRunAside(async (job): Promise<TaughtCalibration> => {
  const report = await calibrateTaught({ ...(job as TaughtJob), now: () => new Date() });
  const { images, index, figures, confidence } = report.calibration;
  const unrejecting = nothingUnknown(report.calibration);
  const warnings = [...calibrationWarnings(report), ...(unrejecting === undefined ? [] : [unrejecting])];
  return { images, fittedFor: index.version, confidence: confidence.kind, figures, warnings };
});
