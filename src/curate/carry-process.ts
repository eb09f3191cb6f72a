/* The process that makes a bundle of a served index, or takes one; curate/carry-aside.ts starts it. */
import { dirname } from 'node:path';
import { answerRunAside } from '../processes/answer-run-aside.js';
import type { CarryJob } from './carry-aside.js';
import { exportIndex } from './export-index.js';
import { importIndex } from './import-index.js';

answerRunAside((asked) => {
  const job = asked as CarryJob;
  if (job.ask === 'export') {
    const { encoderDir } = job;
    return exportIndex({
      ...job,
      encoderOf: encoderDir === undefined ? undefined : () => Promise.resolve(encoderDir),
    });
  }
  // No encoder is taken: its folder is never asked for.
  return importIndex({ ...job, root: () => job.root, models: dirname(job.file) });
});
