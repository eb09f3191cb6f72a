/* The process that compacts a served index beside it; build/compact-aside.ts starts it. */
import { answerParent } from '../processes/child.js';
import { compactIndex, type CompactOptions } from './compact.js';

export type CompactJob = Pick<CompactOptions, 'root' | 'keep' | 'threads'>;

const silent = { start: () => undefined, advance: () => undefined, finish: () => undefined };

answerParent({
  setUp: () => Promise.resolve(undefined),
  run: async ({ words }) => {
    const report = await compactIndex({ ...(words as CompactJob), progress: silent, now: () => new Date() });
    return { words: report, parts: [] };
  },
});
