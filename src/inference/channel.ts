import { fork } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort } from 'node:worker_threads';
import type { WorkerReply, WorkerRequest } from './protocol.js';

/** Where a worker lives. A process survives a native crash of its worker; a thread does not. */
export type WorkerKind = 'process' | 'thread';

/** The pool's end of one worker. `onExit` fires once, with words for the log. */
export interface WorkerChannel {
  send(request: WorkerRequest): void;
  kill(): void;
  /** Takes only what others leave of the cores, or its fair share again. */
  yieldCores(yielding: boolean): void;
}

export interface WorkerChannelOptions {
  readonly kind: WorkerKind;
  readonly file: URL;
  readonly onReply: (reply: WorkerReply) => void;
  readonly onExit: (reason: string) => void;
}

/** HTTP is little work and must be prompt; inference takes what it leaves. By docs/decisions/005. */
const workerNice = 5;
/** Of workers that are not needed yet. */
const yieldingNice = 19;

/** Tensors and vectors live outside the JavaScript heap; a worker that needs more than this is running away. */
const heapMegabytes = 512;

/** Starts a worker and connects to it. */
export function startWorker(options: WorkerChannelOptions): WorkerChannel {
  return options.kind === 'process' ? startProcess(options) : startThread(options);
}

function startProcess({ file, onReply, onExit }: WorkerChannelOptions): WorkerChannel {
  // Its own execArgv: a debugger's port or a loader given to the parent is not the worker's.
  const child = fork(fileURLToPath(file), [], {
    serialization: 'advanced',
    execArgv: [`--max-old-space-size=${heapMegabytes}`],
  });
  // A stopped or hung worker would outlive this process.
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.on('exit', killAtExit);
  if (child.pid !== undefined) setNice(child.pid, workerNice);
  const ended = once((reason) => {
    process.off('exit', killAtExit);
    onExit(reason);
  });
  child.on('message', (message) => onReply(message as WorkerReply));
  child.once('error', (error) => ended(error.message));
  child.once('exit', (code, signal) =>
    ended(signal === null ? `exit code ${String(code)}` : `signal ${signal}`),
  );
  return {
    send: (request) => {
      // A write into a dying child's pipe is reported by its exit.
      if (child.connected) child.send(request, () => undefined);
    },
    kill: () => child.kill('SIGKILL'),
    yieldCores: (yielding) => {
      if (child.pid !== undefined) yieldNice(child.pid, yielding);
    },
  };
}

/** Only the privileged may lower a nice value again, so a step of one is tried before a worker is set far back. */
function yieldNice(pid: number, yielding: boolean): void {
  try {
    if (yielding) {
      setPriority(pid, below(workerNice + 1));
      setPriority(pid, below(workerNice));
    }
    for (const thread of threadsOf(pid)) setPriority(thread, below(yielding ? yieldingNice : workerNice));
  } catch {
    // Without the privilege a worker starts at the priority of the others; one that is gone needs none.
  }
}

/** So much nicer than this process. */
function below(nice: number): number {
  return Math.min(19, getPriority() + nice);
}

function setNice(pid: number, nice: number): void {
  try {
    setPriority(pid, below(nice));
  } catch {
    // A worker that is gone already needs none.
  }
}

/** On Linux a nice value belongs to a thread, and a new thread takes its creator's. */
function threadsOf(pid: number): number[] {
  const tasks = `/proc/${pid}/task`;
  return existsSync(tasks) ? readdirSync(tasks).map(Number) : [pid];
}

function startThread({ file, onReply, onExit }: WorkerChannelOptions): WorkerChannel {
  const thread = new Worker(file, { resourceLimits: { maxOldGenerationSizeMb: heapMegabytes } });
  const ended = once(onExit);
  thread.on('message', (message) => onReply(message as WorkerReply));
  thread.once('error', (error) => ended(error instanceof Error ? error.message : String(error)));
  thread.once('exit', (code) => ended(`exit code ${code}`));
  return {
    send: (request) => thread.postMessage(request),
    kill: () => void thread.terminate(),
    yieldCores: () => undefined,
  };
}

function once(callback: (reason: string) => void): (reason: string) => void {
  let called = false;
  return (reason) => {
    if (called) return;
    called = true;
    callback(reason);
  };
}

/** The worker's end: receives requests one after another, in order, and answers its pool. */
export function connectToPool(handle: (request: WorkerRequest) => Promise<WorkerReply>): void {
  const send = (reply: WorkerReply): void => {
    if (isMainThread) process.send?.(reply);
    else parentPort?.postMessage(reply);
  };
  let last = Promise.resolve();
  const receive = (message: unknown): void => {
    last = last.then(async () => send(await handle(message as WorkerRequest)));
  };
  if (isMainThread) {
    process.on('message', receive);
    // The pool decides when to stop: a Ctrl-C or a hang-up reaches the whole process group.
    process.on('SIGHUP', () => undefined);
    process.on('SIGINT', () => undefined);
    process.on('SIGTERM', () => undefined);
    process.on('disconnect', () => process.exit(0));
  } else {
    parentPort?.on('message', receive);
  }
}
