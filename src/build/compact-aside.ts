import { longestTimerMs } from '../domain/duration.js';
import { compiledModule, superviseChild } from '../processes/supervised-child.js';
import type { CompactJob } from './compact-process.js';
import type { CompactReport } from './compact.js';

/** Rows of a few million examples in JavaScript; the graph and the embeddings lie outside its heap. */
const heapMegabytes = 4_096;
/** Gives way to everything that answers. */
const nicest = 19;

/**
 * Compacts an index in a process of its own, on what others leave of the cores, and ends that process.
 * @throws NearvoteError `worker_failed`, its cause saying why
 */
export async function compactAside(job: CompactJob): Promise<CompactReport> {
  const child = superviseChild<undefined>({
    file: compiledModule('./compact-process.js', import.meta.url),
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
    const { words } = await child.run({ words: job, parts: [] });
    return words as CompactReport;
  } finally {
    child.stop();
  }
}
