import { bytesOf, floatsOf, type Frame } from '../../processes/frames.js';
import type { Encoder, RuntimeName } from '../encoder.js';
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
  /** Of its session for a lone image, which it opens unless it is quick; absent where it has none. */
  readonly wideThreads?: number | undefined;
  /** In milliseconds for one image: the encoder is quick that takes no longer. */
  readonly quickMs: number;
  /** Execution providers of ONNX Runtime; absent for the processor's. */
  readonly providers?: readonly string[] | undefined;
  /** The largest batch it will be sent, run once before it is ready; absent for what `batchFor` says. */
  readonly maxBatch?: number | undefined;
}

export interface WorkerReady {
  /** How long one image took on this worker's threads. */
  readonly imageMs: number;
  readonly runtime: RuntimeName;
  /** Why its encoder is slower than this machine allows, where it is. */
  readonly slower?: string | undefined;
}

/**
 * An encoder that takes no longer for an image is so quick that a hop to another process is much of what the image
 * costs. Its lone images are encoded where they arrive, which keeps the event loop no longer than this
 * (docs/decisions/012).
 */
export const quickMs = 10;

/** The largest batch unless told: a larger one encodes no more images a second (docs/decisions/003). */
export const largestBatch = 16;
/** A batch of that many takes no longer than this: what comes meanwhile waits for it, and a batch has a deadline. */
const batchMs = 250;

/** Most images in a batch, by how long one takes in milliseconds. */
export function batchFor(imageMs: number): number {
  return Math.max(1, Math.min(largestBatch, Math.floor(batchMs / imageMs)));
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

/** Does a job. */
export async function encodeJob(encoder: Encoder, { words, parts }: Frame): Promise<Frame> {
  const { count } = words as EncodeJob;
  const started = performance.now();
  const pixels = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  const { values } = await encoder.embed(pixels, count);
  const reply: EncodeReply = { encodeMs: performance.now() - started };
  return { words: reply, parts: [bytesOf(values)] };
}

/** Runs an encoder on empty images: what the first runs allocate is paid before anybody waits. */
export async function warmUp(encoder: Encoder, count: number): Promise<void> {
  const { width, height } = encoder.manifest.input;
  await encoder.embed(new Uint8Array(count * width * height * 3), count);
}

/** How long one image takes, in milliseconds: the least of some runs, since the cores are not ours alone. */
export async function timeImage(encoder: Encoder): Promise<number> {
  let least = Infinity;
  for (let run = 0; run < 6; run++) {
    const started = performance.now();
    await warmUp(encoder, 1);
    least = Math.min(least, performance.now() - started);
  }
  return least;
}
