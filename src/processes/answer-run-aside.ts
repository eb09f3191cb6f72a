import { execFile } from 'node:child_process';
import { answerParent } from './child.js';

/** Does the one job of a process that `runAside` has started, on cores that nothing else wants. */
export function answerRunAside(run: (job: unknown) => Promise<unknown>): void {
  answerParent({
    setUp: takeIdleCores,
    run: async ({ words }) => ({ words: await run(words), parts: [] }),
  });
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
