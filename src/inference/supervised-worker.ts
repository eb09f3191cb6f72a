import { NearvoteError } from '../domain/errors.js';
import { packBatch, settleBatch } from './batch.js';
import { startWorker, type WorkerChannel, type WorkerKind } from './channel.js';
import type { WorkerReply, WorkerSetup } from './protocol.js';
import type { Entry } from './queue.js';

export interface SupervisedWorkerOptions {
  readonly kind: WorkerKind;
  readonly file: URL;
  readonly setup: WorkerSetup;
  /** A batch that takes longer is taken for hung: the worker is killed and replaced. */
  readonly batchDeadlineMs: number;
  /** Starts with what others leave of the cores, until `stopYielding`. */
  readonly yielding: boolean;
  /** Called whenever the worker could take a batch. */
  onFree(): void;
  onBatch(size: number): void;
  /** Called when a worker that was not told to stop has ended. */
  onRestart(reason: string): void;
}

/** One seat in the pool: a worker, and its replacement whenever it dies. */
export interface SupervisedWorker {
  /** Set up and alive. */
  readonly ready: boolean;
  /** How many it holds: the one it works on, and one that waits for it there. */
  readonly batches: number;
  readonly searchKind: 'hnsw' | 'exact' | 'none';
  /** Resolves when the first worker is set up. @throws what its setup threw; later failures are retried. */
  readonly started: Promise<void>;
  run(entries: readonly Entry[]): void;
  stopYielding(): void;
  /** Resolves when nothing is in the worker. */
  drained(): Promise<void>;
  stop(): void;
}

const firstRetryMs = 100;
const lastRetryMs = 5_000;

export function superviseWorker(options: SupervisedWorkerOptions): SupervisedWorker {
  let channel: WorkerChannel | undefined;
  let ready = false;
  let everReady = false;
  let stopped = false;
  let { yielding } = options;
  /** What a replacement's setup failed with. */
  let setupFailure: string | undefined;
  let setupDeadline: NodeJS.Timeout | undefined;
  let openedAt = 0;
  let firstSetupMs = 0;
  let searchKind: 'hnsw' | 'exact' | 'none' = 'none';
  let nextBatch = 0;
  let retryMs = firstRetryMs;
  let retryTimer: NodeJS.Timeout | undefined;
  /** In the order in which the worker takes them. */
  const flights = new Map<number, readonly Entry[]>();
  let deadline: NodeJS.Timeout | undefined;
  const waitingForDrain: (() => void)[] = [];
  const start = withResolvers();

  function open(): void {
    const own: WorkerChannel = startWorker({
      kind: options.kind,
      file: options.file,
      onReply: (reply) => {
        if (own === channel) onReply(reply);
      },
      onExit: (reason) => {
        if (own === channel) onExit(reason);
      },
    });
    channel = own;
    setupFailure = undefined;
    openedAt = performance.now();
    if (yielding) own.yieldCores(true);
    // How long the first setup takes is nobody's to bound, a large index included; a replacement's is known.
    if (everReady) setupDeadline = setTimeout(() => own.kill(), options.batchDeadlineMs + 10 * firstSetupMs);
    own.send({ type: 'setup', setup: options.setup });
  }

  function onReply(reply: WorkerReply): void {
    if (reply.type === 'ready') {
      clearTimeout(setupDeadline);
      if (!everReady) firstSetupMs = performance.now() - openedAt;
      ready = everReady = true;
      retryMs = firstRetryMs;
      searchKind = reply.searchKind;
      start.resolve();
      return options.onFree();
    }
    if (reply.batch === undefined) {
      const { code, message } = reply as { code: NearvoteError['code']; message: string };
      if (!everReady) return fail(new NearvoteError(code, message));
      setupFailure = `${message} [${code}]`;
      return channel?.kill();
    }
    const entries = land(reply.batch);
    if (entries === undefined) return;
    if (reply.type === 'batch') settleBatch(entries, reply);
    else rejectEntries(entries, new NearvoteError('worker_failed', reply.message));
    options.onFree();
  }

  function onExit(reason: string): void {
    ready = false;
    channel = undefined;
    clearTimeout(setupDeadline);
    for (const batch of [...flights.keys()]) {
      const ended = new NearvoteError('worker_failed', 'The inference worker ended during this request');
      rejectEntries(land(batch) ?? [], ended);
    }
    if (stopped) return;
    if (!everReady)
      return fail(
        new NearvoteError('worker_failed', `The inference worker ended while starting (${reason})`),
      );
    options.onRestart(setupFailure ?? reason);
    retryTimer = setTimeout(open, retryMs);
    retryMs = Math.min(retryMs * 2, lastRetryMs);
  }

  function fail(error: NearvoteError): void {
    stopped = true;
    start.reject(error);
    channel?.kill();
  }

  function land(batch: number): readonly Entry[] | undefined {
    const entries = flights.get(batch);
    if (entries === undefined) return undefined;
    flights.delete(batch);
    watchDeadline();
    if (flights.size === 0) for (const resolve of waitingForDrain.splice(0)) resolve();
    return entries;
  }

  /** Anew for each batch, from when the worker takes it. */
  function watchDeadline(): void {
    clearTimeout(deadline);
    if (flights.size > 0) deadline = setTimeout(() => channel?.kill(), options.batchDeadlineMs);
  }

  open();
  return {
    get batches() {
      return flights.size;
    },
    get ready() {
      return ready;
    },
    get searchKind() {
      return searchKind;
    },
    started: start.promise,
    run: (entries) => {
      const batch = nextBatch++;
      const request = packBatch(batch, entries);
      flights.set(batch, entries);
      if (flights.size === 1) watchDeadline();
      options.onBatch(entries.length);
      channel?.send(request);
    },
    stopYielding: () => {
      yielding = false;
      channel?.yieldCores(false);
    },
    drained: () =>
      flights.size === 0 ? Promise.resolve() : new Promise((resolve) => waitingForDrain.push(resolve)),
    stop: () => {
      stopped = true;
      ready = false;
      clearTimeout(retryTimer);
      clearTimeout(setupDeadline);
      channel?.kill();
    },
  };
}

function rejectEntries(entries: readonly Entry[], error: NearvoteError): void {
  for (const entry of entries) entry.reject(error);
}

/** Promise.withResolvers came with Node 22. */
function withResolvers(): { promise: Promise<void>; resolve: () => void; reject: (error: Error) => void } {
  let resolve = (): void => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<void>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}
