import { execFile } from 'node:child_process';
import { NearvoteError, type ErrorCode } from '../domain/errors.js';
import { answerParent } from './child.js';

/** What came of it; an error that is said as such is no fault of the process. */
export type AsideReply =
  { readonly done: unknown } | { readonly error: { readonly code: ErrorCode; readonly message: string } };

/** Does the one job of a process that `runAside` has started, on cores that nothing else wants. */
export function answerRunAside(run: (job: unknown) => Promise<unknown>): void {
  answerParent({
    setUp: takeIdleCores,
    run: async ({ words }) => ({ words: await replyOf(() => run(words)), parts: [] }),
  });
}

async function replyOf(work: () => Promise<unknown>): Promise<AsideReply> {
  try {
    return { done: await work() };
  } catch (error) {
    if (!(error instanceof NearvoteError)) throw error;
    return { error: { code: error.code, message: error.message } };
  }
}

/**
 * Linux's SCHED_IDLE, for all threads: the nicest process still keeps a core to the end of its slice, and whoever woke
 * meanwhile waits for that. Where there is no such thing it stays nice.
 */
function takeIdleCores(): Promise<undefined> {
  return new Promise((resolve) => {
    execFile('chrt', ['-a', '-i', '-p', '0', String(process.pid)], () => {
      resolve(undefined);
    });
  });
}
