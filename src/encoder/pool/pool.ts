import type { Cancellation } from '../../domain/cancellation.js';
import { NearvoteError } from '../../domain/errors.js';
import { compiledModule, superviseChild, type SupervisedChild } from '../../processes/supervised-child.js';
import type { EncoderManifest } from '../manifest.js';
import { packJob, settleEntries, type WorkerSetup } from './job.js';
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
  /** Most images in a batch. */
  readonly maxBatch: number;
  /** Most images waiting; more are refused. */
  readonly maxQueue: number;
  /** In milliseconds; 30 s unless told. */
  readonly batchDeadlineMs?: number | undefined;
  /** Other workers are serving meanwhile: these start one after another, on what is left of the cores. */
  readonly besideOthers?: boolean | undefined;
  /** Whether few images are spread over every core; it costs one worker a second copy of the weights. Yes unless told. */
  readonly wide?: boolean | undefined;
  readonly onBatch?: ((size: number) => void) | undefined;
  readonly onRestart?: ((reason: string) => void) | undefined;
  /** The compiled worker; another one only in tests. */
  readonly workerFile?: URL | undefined;
}

/** Encoder processes behind a queue: pixels `[height, width, 3]` to embeddings, in batches of what has gathered. */
export interface EncoderPool {
  /** Images that wait. */
  readonly queueDepth: number;
  /** Whether any worker could take a batch. */
  readonly ready: boolean;
  /**
   * @throws NearvoteError `overloaded`, `client_gone`, `worker_failed`; `not_ready` at once when no worker is there and
   * none is coming; `shutting_down`
   */
  embed(pixels: Uint8Array, options?: { readonly signal?: Cancellation | undefined }): Promise<Embedded>;
  /** Refuses what waits, and stops the workers when what they hold is answered. */
  close(): Promise<void>;
}

type Worker = SupervisedChild<unknown>;

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
  const { workers: seats, threads, maxBatch, batchDeadlineMs = defaultDeadlineMs, onBatch } = options;
  const besideOthers = options.besideOthers === true;
  const cores = seats * threads;
  const spreads = options.wide !== false && cores > threads;
  const workers: Worker[] = [];
  /** How many wide batches are at work. */
  let wideBatches = 0;
  let flushing = false;
  let closed = false;
  const queue = createEntryQueue(options.maxQueue, pushed);

  function setupOf(seat: number): WorkerSetup {
    const { encoderDir, manifest, providers } = options;
    return {
      encoderDir,
      manifest,
      threads,
      maxBatch,
      providers,
      ...(spreads && seat === 0 ? { wideThreads: cores } : {}),
    };
  }

  async function addWorker(): Promise<void> {
    const worker = superviseChild<unknown>({
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
      const assignment = nextAssignment({
        seats: workers.filter(({ ready }) => ready),
        wideSeat: spreads ? workers[0] : undefined,
        wideAtWork: wideBatches > 0,
        depth: queue.depth,
        maxBatch,
      });
      if (assignment === undefined) return;
      void send(assignment);
    }
  }

  async function send({ seat, count, wide }: Assignment<Worker>): Promise<void> {
    const entries = queue.take(count);
    onBatch?.(entries.length);
    if (wide) wideBatches++;
    const outcome = await seat.run(packJob(entries, wide)).catch((error: unknown) => error as Error);
    if (wide) wideBatches--;
    // Before anybody is answered: a worker is not to wait for that.
    dispatch();
    if (outcome instanceof Error) for (const entry of entries) entry.reject(outcome);
    else settleEntries(entries, outcome);
  }

  try {
    if (besideOthers) for (let i = 0; i < seats; i++) await addWorker();
    else await Promise.all(Array.from({ length: seats }, addWorker));
    for (const worker of workers) worker.stopYielding();
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
    },
  };
}

function closedError(): NearvoteError {
  return new NearvoteError('shutting_down', 'The server is shutting down');
}

function noWorkerError(): NearvoteError {
  return new NearvoteError('not_ready', 'Expected a worker that can encode but none can be started');
}
