import { appendFileSync, fstatSync, write } from 'node:fs';
import { promisify } from 'node:util';

import { pino, type Logger } from 'pino';

import { openAppendFile } from './append-file.js';
import { createLineQueue, type Delivery } from './line-queue.js';

/** What the server logs, to a file or to stderr, in the background. */
export interface ServerLog {
  readonly logger: Logger;
  /** Makes the file again where it was moved, as after every line. */
  reopen(): Promise<void>;
  /** Resolves when what was logged is written, or does not get written within half a second. */
  flush(): Promise<void>;
}

export interface ServerLogOptions {
  /** Absent for stderr. */
  readonly file?: string | undefined;
  readonly level: string;
  /** Told of lines that nobody will read: the disk is full, or the reader of stderr has stopped or gone. */
  readonly onDropped: (lines: number) => void;
}

/** Lines that wait for a reader. */
const maxPendingBytes = 256 * 1024;
const gatherMs = 100;
const flushMs = 500;

interface Output {
  readonly append: (lines: readonly string[]) => Promise<Delivery>;
  /** As far as that is possible at once: the process ends after it. */
  readonly appendLast: (text: string) => void;
}

/** @throws NearvoteError `output_unwritable` */
export async function openServerLog({ file, level, onDropped }: ServerLogOptions): Promise<ServerLog> {
  const output = file === undefined ? stderrOutput() : await fileOutput(file);
  const queue = createLineQueue({ deliver: output.append, onLost: onDropped, maxPendingBytes, gatherMs });
  process.once('exit', () => {
    const lines = queue.take();
    try {
      if (lines.length > 0) output.appendLast(textOf(lines));
    } catch {
      // There is nobody left to tell.
    }
  });
  return {
    logger: pino({ level }, { write: (line) => queue.write(line.trimEnd()) }),
    reopen: async () => {
      await output.append([]);
    },
    flush: () =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, flushMs);
        void queue.flush().finally(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}

async function fileOutput(file: string): Promise<Output> {
  const { append } = await openAppendFile({ file });
  return { append, appendLast: (text) => appendFileSync(file, text) };
}

/**
 * A pipe or socket is written by the event loop: a thread that waits for a reader who has stopped would keep the process
 * from ending. A file is written by a thread, where the event loop would wait for the disk.
 */
function stderrOutput(): Output {
  const stats = fstatSync(2);
  if (stats.isFile() || (stats.isCharacterDevice() && !process.stderr.isTTY)) {
    return { append: appendToDescriptor, appendLast: (text) => appendFileSync(2, text) };
  }
  // A write that fails is counted by its callback; without a listener it would be an uncaught exception.
  process.stderr.on('error', () => undefined);
  return {
    append: (lines) =>
      new Promise((resolve) => {
        process.stderr.write(textOf(lines), (error) => {
          resolve(error ? { lines: 0, error } : { lines: lines.length });
        });
      }),
    appendLast: (text) => void process.stderr.write(text),
  };
}

const writeAsync = promisify(write);

async function appendToDescriptor(lines: readonly string[]): Promise<Delivery> {
  try {
    const data = Buffer.from(textOf(lines));
    for (let at = 0; at < data.length;) at += (await writeAsync(2, data, at)).bytesWritten;
    return { lines: lines.length };
  } catch (error) {
    return { lines: 0, error: error as Error };
  }
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
