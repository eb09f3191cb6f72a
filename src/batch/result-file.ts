import { closeSync, constants, fdatasyncSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { lstat, mkdir, realpath, rmdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { NearvoteError, systemCodeOf } from '../domain/errors.js';
import { lockFolder } from '../files/lock.js';
import type { Answer, Circumstances } from './answers.js';
import { headerRow, pathCell, rowOf } from './csv-row.js';
import { noRows, readFormerRows } from './former-rows.js';
import { createPathSet } from './path-set.js';
import { checkRecord, writeRecord } from './run-record.js';

/** A result file that one run writes to. */
export interface ResultFile {
  /** Real paths of what belongs to it. */
  readonly own: readonly string[];
  /** Rows that are whole. */
  readonly rows: number;
  /** Of them, those of files that could not be classified. */
  readonly failed: number;
  /** Whether a file has a row, or is on its way to one. */
  has(path: string): boolean;
  /** Whether a file is to get a row: it has none, and was not asked for before. */
  claim(path: string): boolean;
  /**
   * Makes the file ready for rows that come about so; what a former run was torn in is cut off.
   * @throws NearvoteError `output_exists` where its rows came about in another way, `output_unwritable`
   */
  begin(circumstances: Circumstances): Promise<void>;
  /** Says that rows come about otherwise from now on. */
  record(circumstances: Circumstances): Promise<void>;
  /** @throws NearvoteError `output_unwritable`; what was written before stays whole */
  append(answer: Answer): void;
  /** Waits until the rows are on the disk, and lets others write. */
  close(): Promise<void>;
}

interface ResultFileOptions {
  readonly file: string;
  /** Throw away what is there. */
  readonly overwrite: boolean;
}

const msBetweenSyncs = 5_000;

/**
 * Locks a result file and reads which files have a row in it.
 * @throws NearvoteError `output_unwritable` where another run holds it or it is no file, `output_exists` for a file that is
 * no such result
 */
export async function openResultFile({ file, overwrite }: ResultFileOptions): Promise<ResultFile> {
  const path = await placeOf(file);
  const beside = `${path}.run`;
  const recordFile = join(beside, 'run.json');
  const places = { file, path, recordFile };
  const lock = await mkdir(beside, { recursive: true })
    .then(() => lockFolder(beside))
    .catch((error: unknown) => {
      throw error instanceof NearvoteError ? error : unwritable(file, error);
    });
  const unlock = async (): Promise<void> => {
    await lock.release();
    // Nothing was begun: nothing is left.
    await rmdir(beside).catch(() => undefined);
  };
  const done = createPathSet();
  const found = await (overwrite ? noRows() : readFormerRows(path, (written) => done.add(written))).catch(
    async (error: unknown) => {
      await unlock();
      throw error;
    },
  );
  let { rows, failed, bytes } = found;
  let fd: number | undefined;
  let synced = performance.now();

  function put(text: string): void {
    if (fd === undefined) throw new NearvoteError('internal', 'Expected a result file that was begun');
    const content = Buffer.from(text);
    try {
      for (let at = 0; at < content.length;)
        at += writeSync(fd, content, at, content.length - at, bytes + at);
      bytes += content.length;
      if (performance.now() - synced < msBetweenSyncs) return;
      fdatasyncSync(fd);
      synced = performance.now();
    } catch (error) {
      // The next run would cut a torn row off too; a reader meanwhile meets none.
      cut(fd, bytes);
      throw unwritable(file, error);
    }
  }

  const record = (circumstances: Circumstances): Promise<void> =>
    writeRecord(places, circumstances).catch((error: unknown) => {
      throw unwritable(recordFile, error);
    });

  return {
    own: [path, beside],
    get rows() {
      return rows;
    },
    get failed() {
      return failed;
    },
    has: (one) => done.has(pathCell(one)),
    claim: (one) => done.add(pathCell(one)),
    begin: async (circumstances) => {
      if (rows > 0) await checkRecord(places, circumstances);
      try {
        fd = openSync(path, constants.O_RDWR | constants.O_CREAT);
        // Before the record is replaced: old rows are never taken for those of new circumstances.
        ftruncateSync(fd, rows === 0 ? 0 : bytes);
      } catch (error) {
        throw unwritable(file, error);
      }
      if (rows > 0) return;
      bytes = 0;
      await record(circumstances);
      put(headerRow);
    },
    record,
    append: (answer) => {
      put(rowOf(answer));
      rows++;
      if ('error' in answer) failed++;
    },
    close: async () => {
      try {
        if (fd !== undefined) {
          fdatasyncSync(fd);
          closeSync(fd);
        }
      } catch (error) {
        throw unwritable(file, error);
      } finally {
        fd = undefined;
        await unlock();
      }
    },
  };
}

function cut(fd: number, bytes: number): void {
  try {
    ftruncateSync(fd, bytes);
  } catch {
    // What made the writing fail may make this fail too.
  }
}

/** @throws NearvoteError `output_unwritable` for what rows cannot be added to */
async function placeOf(file: string): Promise<string> {
  const path = resolve(file);
  const there = await stat(path).catch(() => undefined);
  if (there !== undefined && !there.isFile()) {
    throw new NearvoteError(
      'output_unwritable',
      `Expected a file to write rows to but ${file} is something else`,
    );
  }
  if (there !== undefined) return realpath(path);
  // A link that leads nowhere yet, or in a circle: the lock must lie where the file will.
  const link = await lstat(path).catch(() => undefined);
  if (link !== undefined)
    throw new NearvoteError('output_unwritable', `Expected a file but ${file} is a link that leads to none`);
  const folder = await realpath(dirname(path)).catch((error: unknown) => {
    throw unwritable(file, error);
  });
  return join(folder, basename(path));
}

function unwritable(file: string, cause: unknown): NearvoteError {
  return new NearvoteError(
    'output_unwritable',
    `Expected to write ${file} but cannot (${systemCodeOf(cause)})`,
    {
      cause,
    },
  );
}
