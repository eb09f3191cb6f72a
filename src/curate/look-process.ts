/* The process that looks at all of a served index; curate/look-aside.ts starts it. */
import { answerRunAside } from '../processes/answer-run-aside.js';
import { diffIndex } from './diff-index.js';
import type { LookJob } from './look-aside.js';
import { verifyIndex } from './verify-index.js';

answerRunAside(async (asked) => {
  const job = asked as LookJob;
  if (job.ask === 'verify') return verifyIndex(job);
  const { added, deleted, relabelled, ...difference } = await diffIndex(job);
  const shown = <T>(all: readonly T[]): readonly T[] => all.slice(0, job.limit);
  return {
    ...difference,
    counts: { added: added.length, deleted: deleted.length, relabelled: relabelled.length },
    ...{ added: shown(added), deleted: shown(deleted), relabelled: shown(relabelled) },
  };
});
