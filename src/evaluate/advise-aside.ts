import { longestTimerMs } from '../domain/duration.js';
import { compiledModule, superviseChild } from '../processes/supervised-child.js';
import type { Advice, AdviseOptions } from './advise.js';

/** Rows of a few million examples in JavaScript; the embeddings lie outside its heap. */
const heapMegabytes = 4_096;
/** Gives way to everything that answers. */
const nicest = 19;

/**
 * Draws the learning curves of an index in a process of its own, on what others leave of the cores, and ends that process.
 * @throws NearvoteError `worker_failed`, its cause saying why
 */
export async function adviseAside(options: AdviseOptions): Promise<Advice> {
  const child = superviseChild<undefined>({
    file: compiledModule('./advise-process.js', import.meta.url),
    setup: {},
    jobDeadlineMs: longestTimerMs,
    heapMegabytes,
    nice: nicest,
    yielding: true,
    onReady: () => undefined,
    onRestart: () => child.stop(),
  });
  try {
    await child.started;
    const { words } = await child.run({ words: options, parts: [] });
    return words as Advice;
  } finally {
    child.stop();
  }
}
