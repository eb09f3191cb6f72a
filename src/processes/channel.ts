import { spawn, type ChildProcess, type StdioOptions } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { pipeDescriptor, type ChildMessage, type ParentMessage } from './child.js';
import { readFrames, writeFrame, type Frame } from './frames.js';

/** The parent's end of one process. */
export interface Channel {
  send(message: ParentMessage, parts?: Frame['parts']): void;
  kill(): void;
  /** Takes only what others leave of the cores, or its fair share again. */
  yieldCores(yielding: boolean): void;
}

export interface ChannelOptions {
  /** The compiled module of the process. */
  readonly file: URL;
  /** Of the JavaScript heap. */
  readonly heapMegabytes: number;
  /** How much nicer than this process it is. */
  readonly nice: number;
}

interface ChannelEvents {
  readonly onMessage: (message: ChildMessage, parts: Frame['parts']) => void;
  /** Once, with words for the log. */
  readonly onExit: (reason: string) => void;
}

/** Nothing is kept for a reader who has stopped. */
let passOn = (text: Buffer): void => {
  if (process.stderr.writableLength < 65_536) process.stderr.write(text);
};

/** Hands over what children print, which goes to stderr otherwise: a server logs it, and goes on where nobody reads. */
export function takeWhatChildrenPrint(take: (text: string) => void): void {
  passOn = (text) => take(text.toString().trimEnd());
}

/** A stopped or hung process would outlive this one. One listener for all: Node warns of more than ten. */
const running = new Set<ChildProcess>();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a process and connects to it. */
export function openChannel(
  { file, heapMegabytes, nice }: ChannelOptions,
  { onMessage, onExit }: ChannelEvents,
): Channel {
  // Its own stderr: a shared one is set to blocking as a child starts, and a reader who stops would stop this process.
  const stdio: ('ignore' | 'inherit' | 'pipe')[] = ['ignore', 'ignore', 'pipe'];
  stdio[pipeDescriptor] = 'pipe';
  // Its own arguments: a debugger's port or a loader given to the parent is not the child's.
  const args = [`--max-old-space-size=${heapMegabytes}`, fileURLToPath(file)];
  const child = spawnOrError(args, stdio);
  if (child instanceof Error) {
    setImmediate(() => onExit(child.message));
    return { send: () => undefined, kill: () => undefined, yieldCores: () => undefined };
  }
  child.stderr?.on('data', (text: Buffer) => passOn(text));
  const pipe = child.stdio[pipeDescriptor] as Duplex;
  running.add(child);
  if (child.pid !== undefined) setNice(child.pid, nice);
  let ended = false;
  const end = (reason: string): void => {
    if (ended) return;
    ended = true;
    running.delete(child);
    onExit(reason);
  };
  readFrames(pipe, ({ words, parts }) => onMessage(words as ChildMessage, parts));
  // A write into a dying child's pipe is reported by its exit.
  pipe.on('error', () => undefined);
  child.once('error', (error) => end(error.message));
  // Not `exit`: what it answered before it ended is read first.
  child.once('close', (code, signal) =>
    end(signal === null ? `exit code ${String(code)}` : `signal ${signal}`),
  );
  return {
    send: (message, parts = []) => {
      if (pipe.writable) writeFrame(pipe, { words: message, parts });
    },
    kill: () => child.kill('SIGKILL'),
    yieldCores: (yielding) => {
      if (child.pid !== undefined) yieldNice(child.pid, { nice, yielding });
    },
  };
}

/** Without memory Node throws; without a descriptor it makes a child that has no pipes. */
function spawnOrError(args: readonly string[], stdio: StdioOptions): ChildProcess | Error {
  try {
    const child = spawn(process.execPath, args, { stdio });
    // As Node does not declare it.
    if ((child.stdio as unknown) !== undefined) return child;
    child.once('error', () => undefined);
    return new Error('spawn EMFILE: no file descriptor is left');
  } catch (error) {
    return error as Error;
  }
}

/** Of children that are not needed yet. */
const yieldingNice = 19;

/** Only the privileged may lower a nice value again, so a step of one is tried before a child is set far back. */
function yieldNice(
  pid: number,
  { nice, yielding }: { readonly nice: number; readonly yielding: boolean },
): void {
  try {
    if (yielding) {
      setPriority(pid, below(nice + 1));
      setPriority(pid, below(nice));
    }
    for (const thread of threadsOf(pid)) setPriority(thread, below(yielding ? yieldingNice : nice));
  } catch {
    // Without the privilege a child starts at the priority of the others; one that is gone needs none.
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
    // A child that is gone already needs none.
  }
}

/** On Linux a nice value belongs to a thread, and a new thread takes its creator's. */
function threadsOf(pid: number): number[] {
  const tasks = `/proc/${pid}/task`;
  return existsSync(tasks) ? readdirSync(tasks).map(Number) : [pid];
}
