import type { Stats } from 'node:fs';
import { constants, mkdir, open, rename, stat, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';

import { NearvoteError } from '../domain/errors.js';
import type { Delivery } from './line-queue.js';

/** A file that grows by whole lines, and that anybody may delete, move or fill the disk under meanwhile. */
export interface AppendFile {
  /** Makes the file again where it is gone. A failure loses lines, never later ones. */
  readonly append: (lines: readonly string[]) => Promise<Delivery>;
  readonly close: () => Promise<void>;
}

export interface AppendFileOptions {
  readonly file: string;
  /** A file of this size becomes `<file>.1`, the one before `<file>.2`, to `rotations`; grows for ever unless told. */
  readonly rotate?: { readonly atBytes: number; readonly rotations: number };
}

/** Opening a pipe that nobody reads would wait for a reader. */
const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK;

/** @throws NearvoteError `output_unwritable` where the file cannot be opened now */
export async function openAppendFile({ file, rotate }: AppendFileOptions): Promise<AppendFile> {
  let handle: FileHandle | undefined;
  /** Of the file that `handle` is. */
  let identity: Pick<Stats, 'ino' | 'dev'> | undefined;
  let bytes = 0;
  let last: Promise<unknown> = Promise.resolve();
  /** A line was cut in the middle; the next one begins after its end. */
  let torn = false;

  async function close(): Promise<void> {
    const former = handle;
    handle = undefined;
    await former?.close();
  }

  /** The handle, of the file that lies under that name now. */
  async function opened(): Promise<FileHandle> {
    const found = await stat(file).catch(() => undefined);
    if (found?.ino !== identity?.ino || found?.dev !== identity?.dev) await close();
    if (handle !== undefined) return handle;
    await mkdir(dirname(file), { recursive: true });
    const fresh = await open(file, flags);
    const stats = await fresh.stat();
    if (!stats.isFile()) {
      await fresh.close();
      throw new Error(`${file} is not a file`);
    }
    handle = fresh;
    identity = stats;
    bytes = stats.size;
    torn = false;
    return fresh;
  }

  /** @returns how many bytes were written before the failure, if there was one */
  async function write(data: Buffer): Promise<{ written: number; error?: Error }> {
    let written = 0;
    try {
      const target = await opened();
      if (torn) await target.write('\n');
      torn = false;
      while (written < data.length) written += (await target.write(data, written)).bytesWritten;
      return { written };
    } catch (cause) {
      // Where nothing was written, a line that was cut before still lies there.
      if (written > 0) torn = data[written - 1] !== newline;
      return { written, error: cause as Error };
    } finally {
      bytes += written;
    }
  }

  async function rotateFiles(rotations: number): Promise<void> {
    await close();
    for (let n = rotations; n > 0; n--) {
      await rename(n === 1 ? file : `${file}.${n - 1}`, `${file}.${n}`).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      });
    }
  }

  /** As many lines as the file takes before it is full. */
  function countThatFit(lines: readonly string[]): number {
    if (rotate === undefined) return lines.length;
    let size = bytes;
    let count = 0;
    while (count < lines.length && (count === 0 || size < rotate.atBytes)) {
      size += Buffer.byteLength(lines[count] ?? '') + 1;
      count++;
    }
    return count;
  }

  async function appendNow(lines: readonly string[]): Promise<Delivery> {
    let done = 0;
    try {
      // Now: how full the file is, is known when it is open.
      await opened();
      do {
        const part = lines.slice(done, done + countThatFit(lines.slice(done)));
        const data = Buffer.from(part.map((line) => `${line}\n`).join(''));
        const { written, error } = await write(data);
        if (error !== undefined) return { lines: done + countLines(data.subarray(0, written)), error };
        done += part.length;
        if (rotate !== undefined && bytes >= rotate.atBytes) await rotateFiles(rotate.rotations);
      } while (done < lines.length);
      return { lines: done };
    } catch (error) {
      return { lines: done, error: error as Error };
    }
  }

  await opened().catch((cause: unknown) => {
    throw new NearvoteError('output_unwritable', `Expected to append to ${file} but it cannot be opened`, {
      cause,
    });
  });
  return {
    append: (lines) => {
      const appended = last.then(() => appendNow(lines));
      last = appended;
      return appended;
    },
    close: () => last.then(close),
  };
}

const newline = 10;

function countLines(data: Uint8Array): number {
  return data.reduce((count, byte) => count + Number(byte === newline), 0);
}
