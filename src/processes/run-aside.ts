import { longestTimerMs } from '../domain/duration.js';
import { superviseChild } from './supervised-child.js';

/** Rows of a few million examples in JavaScript; graphs and embeddings lie outside its heap. */
const heapMegabytes = 4_096;
/** Gives way to everything that answers. */
const nicest = 19;

/**
 * Has one long job done by a process of its own, on what others leave of the cores, and ends that process.
 * @param file its compiled module; it calls `answerParent`
 * @returns the words of its reply
 * @throws NearvoteError `worker_failed`, its cause saying why
 */
export async function runAside(file: URL, job: unknown): Promise<unknown> {
  const child = superviseChild<undefined>({
    ...{ file, heapMegabytes, setup: {}, jobDeadlineMs: longestTimerMs, nice: nicest, yielding: true },
    onReady: () => undefined,
    onRestart: () => child.stop(),
  });
  try {
    await child.started;
    return (await child.run({ words: job, parts: [] })).words;
  } finally {
    child.stop();
  }
}
