import { longestTimerMs } from '../domain/duration.js';
import { NearvoteError } from '../domain/errors.js';
import type { AsideReply } from './answer-run-aside.js';
import { superviseChild } from './supervised-child.js';

/** Rows of a few million examples in JavaScript; graphs and embeddings lie outside its heap. */
const heapMegabytes = 4_096;
/** Gives way to everything that answers. */
const nicest = 19;

/**
 * Has one long job done by a process of its own, on what others leave of the cores, and ends that process.
 * @param file its compiled module; it calls `answerRunAside`
 * @returns what came of it
 * @throws NearvoteError that of the job; `worker_failed`, its cause saying why, for a fault of the process
 */
export async function runAside(file: URL, job: unknown): Promise<unknown> {
  const child = superviseChild<undefined>({
    ...{ file, heapMegabytes, setup: {}, jobDeadlineMs: longestTimerMs, nice: nicest, yielding: true },
    onReady: () => undefined,
    onRestart: () => child.stop(),
  });
  try {
    await child.started;
    const reply = (await child.run({ words: job, parts: [] })).words as AsideReply;
    if ('done' in reply) return reply.done;
    throw new NearvoteError(reply.error.code, reply.error.message);
  } finally {
    child.stop();
  }
}
