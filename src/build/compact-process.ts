/* The process that compacts a served index beside it; build/compact-aside.ts starts it. */
import { answerRunAside } from '../processes/answer-run-aside.js';
import { compactIndex, type CompactOptions } from './compact.js';

export type CompactJob = Pick<CompactOptions, 'root' | 'keep' | 'threads'>;

const silent = { start: () => undefined, advance: () => undefined, finish: () => undefined };

answerRunAside((job) => compactIndex({ ...(job as CompactJob), progress: silent, now: () => new Date() }));
