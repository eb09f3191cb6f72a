import { bytesOf, floatsOf, type Frame } from '../../processes/frames.js';
import type { EncoderManifest } from '../manifest.js';
import type { Entry } from './queue.js';

/* What a pool and its workers say to each other. */

/** Everything a worker needs, sent once. */
export interface WorkerSetup {
  readonly encoderDir: string;
  /** As it was read when the pool was opened: whatever lies in the folder later, this is what is served. */
  readonly manifest: EncoderManifest;
  /** Of its session for batches while other workers have batches too. */
  readonly threads: number;
  /** Of its session for when nothing else is at work; absent where it has none. */
  readonly wideThreads?: number | undefined;
  /** Execution providers of ONNX Runtime; absent for the processor's. */
  readonly providers?: readonly string[] | undefined;
  /** The largest batch it will be sent, run once before it is ready. */
  readonly maxBatch: number;
}

/** `pixels [count, height, width, 3]` lie beside it. */
export interface EncodeJob {
  readonly count: number;
  readonly wide: boolean;
}

/** Embeddings `[count, dimension]` lie beside it. */
interface EncodeReply {
  readonly encodeMs: number;
}

/** Packs images side by side. */
export function packJob(entries: readonly Entry[], wide: boolean): Frame {
  const job: EncodeJob = { count: entries.length, wide };
  return { words: job, parts: entries.map(({ pixels }) => pixels) };
}

/** Hands each image its own row of the reply, which has just come. */
export function settleEntries(entries: readonly Entry[], { words, parts }: Frame): void {
  const { encodeMs } = words as EncodeReply;
  const embeddings = floatsOf(parts[0]);
  const dimension = embeddings.length / entries.length;
  // A batch can wait in its worker's pipe too: whatever was not work was waiting.
  const begunAt = performance.now() - encodeMs;
  for (const [i, entry] of entries.entries()) {
    entry.resolve({
      embedding: embeddings.slice(i * dimension, (i + 1) * dimension),
      queueMs: Math.max(0, begunAt - entry.queuedAt),
      encodeMs,
      batchSize: entries.length,
    });
  }
}

/** The reply to a job. */
export function packReply(values: Float32Array, encodeMs: number): Frame {
  const reply: EncodeReply = { encodeMs };
  return { words: reply, parts: [bytesOf(values)] };
}
