import { NearvoteError } from '../domain/errors.js';
import type { WorkerKind } from './channel.js';
import type { Inference } from './inference.js';
import type { WorkerSetup } from './protocol.js';
import { createEntryQueue } from './queue.js';
import { superviseWorker, type SupervisedWorker } from './supervised-worker.js';

export interface InferencePoolOptions {
  /** The compiled worker.js. */
  readonly workerFile: URL;
  readonly setup: Omit<WorkerSetup, 'warmupBatch'>;
  readonly workers: number;
  readonly maxBatch: number;
  /** Images that may wait; one more is `overloaded`. */
  readonly maxQueue: number;
  /** See docs/decisions/003: a process unless told. */
  readonly kind?: WorkerKind | undefined;
  /** 30 s unless told. */
  readonly batchDeadlineMs?: number | undefined;
  /** Start one worker after another, with the cores that others leave: another pool is serving meanwhile. */
  readonly besideOthers?: boolean | undefined;
  readonly onBatch?: ((size: number) => void) | undefined;
  readonly onRestart?: ((reason: string) => void) | undefined;
}

/**
 * Starts the workers and resolves when all are set up and warm. A free worker takes what has gathered,
 * up to `maxBatch`; nothing waits for a clock.
 * @throws NearvoteError what the first failing setup threw (`encoder_*`, `index_*`), nothing left running
 */
export async function createInferencePool(options: InferencePoolOptions): Promise<Inference> {
  const { workers: seats, maxBatch } = options;
  let closed = false;
  let dealing = false;
  const queue = createEntryQueue(options.maxQueue, dispatch);
  const workers: SupervisedWorker[] = [];

  function addWorker(): Promise<void> {
    const worker = superviseWorker({
      kind: options.kind ?? 'process',
      file: options.workerFile,
      setup: { ...options.setup, warmupBatch: maxBatch },
      batchDeadlineMs: options.batchDeadlineMs ?? 30_000,
      yielding: options.besideOthers ?? false,
      onFree: dispatch,
      onBatch: (size) => options.onBatch?.(size),
      onRestart: (reason) => options.onRestart?.(reason),
    });
    workers.push(worker);
    return worker.started;
  }

  function dispatch(): void {
    const idle = holding(0);
    // Where every idle worker gets a full batch nothing is won by waiting, and a worker idles while this turn lasts.
    if (queue.depth >= maxBatch * idle.length) {
      deal(idle);
    } else if (!dealing) {
      dealing = true;
      // Entries that arrive in the same turn of the event loop share a batch.
      setImmediate(() => {
        dealing = false;
        deal(holding(0));
      });
    }
  }

  function holding(batches: number): SupervisedWorker[] {
    return workers.filter((worker) => worker.ready && worker.batches === batches);
  }

  function deal(idle: readonly SupervisedWorker[]): void {
    for (const [i, worker] of idle.entries()) {
      if (queue.depth === 0) return;
      // An even share, so that no worker idles beside a full one.
      worker.run(queue.take(Math.min(maxBatch, Math.ceil(queue.depth / (idle.length - i)))));
    }
    // A full batch gains nothing by waiting here: it lies in the worker when that is done with the one before.
    for (const worker of holding(1)) {
      if (queue.depth < maxBatch) return;
      worker.run(queue.take(maxBatch));
    }
  }

  try {
    if (options.besideOthers === true) for (let i = 0; i < seats; i++) await addWorker();
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
    get searchKind() {
      return workers[0]?.searchKind ?? 'none';
    },
    get queueDepth() {
      return queue.depth;
    },
    get ready() {
      return !closed && workers.some((worker) => worker.ready);
    },
    infer: (pixels, inferOptions) =>
      closed ? Promise.reject(closedError()) : queue.push(pixels, inferOptions),
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
