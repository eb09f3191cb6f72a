/* The process that calibrates a served index on what it was taught; calibrate/taught-aside.ts starts it. */
import { NearvoteError } from '../domain/errors.js';
import { answerRunAside } from '../processes/answer-run-aside.js';
import { calibrateTaught } from './calibrate-taught.js';
import type { TaughtJob, TaughtReply } from './taught-aside.js';

answerRunAside(async (job): Promise<TaughtReply> => {
  try {
    const report = await calibrateTaught({ ...(job as TaughtJob), now: () => new Date() });
    const { images, index, figures, confidence } = report.calibration;
    return { calibrated: { images, fittedFor: index.version, confidence: confidence.kind, figures } };
  } catch (error) {
    if (!(error instanceof NearvoteError)) throw error;
    return { error: { code: error.code, message: error.message } };
  }
});
