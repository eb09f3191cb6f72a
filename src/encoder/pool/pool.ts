import type { Cancellation } from '../../domain/cancellation.js';
import { NearvoteError } from '../../domain/errors.js';
import { compiledModule, superviseChild, type SupervisedChild } from '../../processes/supervised-child.js';
import type { RuntimeName } from '../encoder.js';
import type { EncoderManifest } from '../manifest.js';
import {
  batchFor,
  largestBatch,
  packJob,
  quickMs,
  settleEntries,
  type WorkerReady,
  type WorkerSetup,
} from './job.js';
import { openLocalSeat, type LocalSeat } from './local-seat.js';
import { createEntryQueue, type Embedded } from './queue.js';
import { nextAssignment, type Assignment } from './schedule.js';

export interface EncoderPoolOptions {
  readonly encoderDir: string;
  /** Of that folder, read once: every worker and every replacement serves this encoder or none. */
  readonly manifest: EncoderManifest;
  readonly workers: number;
  /** Of each worker. */
  readonly threads: number;
  /** Execution providers of ONNX Runtime, the preferred one first; the processor's unless told. */
  readonly providers?: readonly string[] | undefined;
  /** Most images in a batch; by how long one takes unless told. */
  readonly maxBatch?: number | undefined;
  /** Most images waiting; more are refused. */
  readonly maxQueue: number;
  /** In milliseconds; 30 s unless told. */
  readonly batchDeadlineMs?: number | undefined;
  /** Other workers are serving meanwhile: these start one after another, on what is left of the cores. */
  readonly besideOthers?: boolean | undefined;
  /** Whether a lone image gets every core: it costs a second copy of the weights. No unless told. */
  readonly wide?: boolean | undefined;
  readonly onBatch?: ((size: number) => void) | undefined;
  readonly onRestart?: ((reason: string) => void) | undefined;
  /** In milliseconds for one image; another only in tests. */
  readonly quickMs?: number | undefined;
  /** The compiled worker; another one only in tests. */
  readonly workerFile?: URL | undefined;
}

/** Encoder processes behind a queue: pixels `[height, width, 3]` to embeddings, in batches of what has gathered. */
export interface EncoderPool {
  /** Images that wait. */
  readonly queueDepth: number;
  /** Whether any worker could take a batch. */
  readonly ready: boolean;
  /** What the workers encode with. */
  readonly runtime: RuntimeName;
  /** Why that is slower than this machine allows, and what to do about it, where it is. */
  readonly slower?: string | undefined;
  /**
   * @throws NearvoteError `overloaded`, `client_gone`, `worker_failed`; `not_ready` at once when no worker is there and
   * none is coming; `shutting_down`
   */
  embed(pixels: Uint8Array, options?: { readonly signal?: Cancellation | undefined }): Promise<Embedded>;
  /** Refuses what waits, and stops the workers when what they hold is answered. */
  close(): Promise<void>;
}

type Worker = SupervisedChild<WorkerReady>;
/** A worker, or what encodes in this process. */
type Place = Pick<Worker, 'jobs' | 'run'>;

const defaultDeadlineMs = 30_000;
/** HTTP and search are short and must be prompt; encoders take what they leave. By docs/decisions/005. */
const workerNice = 5;
/** Tensors lie outside the JavaScript heap. */
const heapMegabytes = 512;

/**
 * Starts the workers of an encoder.
 * @throws NearvoteError `encoder_missing`, `encoder_invalid`, `dependency_missing`, `worker_failed`
 */
export async function createEncoderPool(options: EncoderPoolOptions): Promise<EncoderPool> {
  const { workers: seats, threads, batchDeadlineMs = defaultDeadlineMs, onBatch } = options;
  const besideOthers = options.besideOthers === true;
  const quickest = options.quickMs ?? quickMs;
  const cores = seats * threads;
  const spreads = options.wide === true && cores > threads;
  const workers: Worker[] = [];
  let local: LocalSeat | undefined;
  let maxBatch = options.maxBatch ?? largestBatch;
  let behind = maxBatch;
  let flushing = false;
  let closed = false;
  let encodesWith: Pick<WorkerReady, 'runtime' | 'slower'> = { runtime: 'onnxruntime' };
  const queue = createEntryQueue(options.maxQueue, pushed);

  function setupOf(seat: number): WorkerSetup {
    const { encoderDir, manifest, providers, maxBatch: told } = options;
    return {
      encoderDir,
      manifest,
      threads,
      maxBatch: told,
      providers,
      quickMs: quickest,
      ...(spreads && seat === 0 ? { wideThreads: cores } : {}),
    };
  }

  async function addWorker(): Promise<void> {
    const worker = superviseChild<WorkerReady>({
      file: options.workerFile ?? compiledModule('./worker.js', import.meta.url),
      setup: setupOf(workers.length),
      jobDeadlineMs: batchDeadlineMs,
      heapMegabytes,
      nice: workerNice,
      yielding: besideOthers,
      onReady: dispatch,
      onRestart: (reason) => {
        options.onRestart?.(reason);
        if (workers.every(({ failing }) => failing)) queue.rejectAll(noWorkerError());
      },
    });
    workers.push(worker);
    await worker.started;
  }

  /** What differs where the hop to a worker is much of what an image costs. */
  async function beQuick(): Promise<void> {
    behind = Math.min(2, maxBatch);
    if (options.wide === true) local = await openLocalSeat({ ...options, threads: cores });
  }

  /** Where a lone image gets every core. */
  function wideSeat(): Place | undefined {
    const [first] = workers;
    return local ?? (spreads && first?.ready === true ? first : undefined);
  }

  /** What comes in one turn of the event loop travels together. */
  function pushed(): void {
    if (queue.depth >= maxBatch) return dispatch();
    if (flushing) return;
    flushing = true;
    setImmediate(() => {
      flushing = false;
      dispatch();
    });
  }

  function dispatch(): void {
    for (;;) {
      const assignment = nextAssignment<Place>({
        seats: workers.filter(({ ready }) => ready),
        wideSeat: wideSeat(),
        depth: queue.depth,
        maxBatch,
        behind,
      });
      if (assignment === undefined) return;
      void send(assignment);
    }
  }

  async function send({ seat, count, wide }: Assignment<Place>): Promise<void> {
    const entries = queue.take(count);
    onBatch?.(entries.length);
    const outcome = await seat.run(packJob(entries, wide)).catch((error: unknown) => error as Error);
    // Before anybody is answered: a worker is not to wait for that.
    dispatch();
    if (outcome instanceof Error) for (const entry of entries) entry.reject(outcome);
    else settleEntries(entries, outcome);
  }

  try {
    if (besideOthers) for (let i = 0; i < seats; i++) await addWorker();
    else await Promise.all(Array.from({ length: seats }, addWorker));
    for (const worker of workers) worker.stopYielding();
    const [first] = workers;
    if (first !== undefined) {
      const { imageMs, ...rest } = await first.started;
      encodesWith = rest;
      maxBatch = options.maxBatch ?? batchFor(imageMs);
      behind = maxBatch;
      if (imageMs <= quickest) await beQuick();
    }
  } catch (error) {
    for (const worker of workers) {
      worker.started.catch(() => undefined);
      worker.stop();
    }
    throw error;
  }
  return {
    get queueDepth() {
      return queue.depth;
    },
    runtime: encodesWith.runtime,
    slower: encodesWith.slower,
    get ready() {
      return !closed && workers.some(({ ready }) => ready);
    },
    embed: (pixels, { signal } = {}) => {
      if (closed) return Promise.reject(closedError());
      if (workers.every(({ failing }) => failing)) return Promise.reject(noWorkerError());
      return queue.push(pixels, signal);
    },
    close: async () => {
      closed = true;
      queue.rejectAll(closedError());
      await Promise.all(workers.map((worker) => worker.drained()));
      for (const worker of workers) worker.stop();
      await local?.close();
    },
  };
}

function closedError(): NearvoteError {
  return new NearvoteError('shutting_down', 'The server is shutting down');
}

function noWorkerError(): NearvoteError {
  return new NearvoteError('not_ready', 'Expected a worker that encodes but none answers');
}
