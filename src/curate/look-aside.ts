import { runAside } from '../processes/run-aside.js';
import { compiledModule } from '../processes/supervised-child.js';
import type { StateDifference } from './compare-states.js';
import type { DiffOptions } from './diff-index.js';
import type { VerifiedIndex } from './verify-index.js';

/** A difference of which not every example is named. */
export interface BoundedDifference extends StateDifference {
  /** Of all of them. */
  readonly counts: Readonly<Record<'added' | 'deleted' | 'relabelled', number>>;
}

interface BoundedDiffOptions extends DiffOptions {
  /** At most so many examples of each kind are named. */
  readonly limit: number;
}

export type LookJob =
  ({ readonly ask: 'diff' } & BoundedDiffOptions) | { readonly ask: 'verify'; readonly root: string };

const look = (job: LookJob): Promise<unknown> =>
  runAside(compiledModule('./look-process.js', import.meta.url), job);

/**
 * `diffIndex` in a process of its own, on what others leave of the cores.
 * @throws NearvoteError as `diffIndex`, and `worker_failed`
 */
export async function diffAside(options: BoundedDiffOptions): Promise<BoundedDifference> {
  return (await look({ ask: 'diff', ...options })) as BoundedDifference;
}

/**
 * `verifyIndex` in a process of its own, on what others leave of the cores.
 * @throws NearvoteError as `verifyIndex`, and `worker_failed`
 */
export async function verifyAside(root: string): Promise<VerifiedIndex> {
  return (await look({ ask: 'verify', root })) as VerifiedIndex;
}
