import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { pipeline } from 'node:stream';
import { parse } from 'csv-parse';
import { messageOf, NearvoteError, systemCodeOf } from '../domain/errors.js';
import { columns, headerRow } from './csv-row.js';

/** What former runs left of a result file. */
export interface FormerRows {
  readonly rows: number;
  readonly failed: number;
  /** How long all that is whole is. */
  readonly bytes: number;
}

export const noRows = (): Promise<FormerRows> => Promise.resolve({ rows: 0, failed: 0, bytes: 0 });

/**
 * Reads the whole rows of a result file, in bounded memory.
 * @throws NearvoteError `output_exists` where it is no result of this kind
 */
export async function readFormerRows(path: string, onPath: (written: string) => void): Promise<FormerRows> {
  const bytes = await wholeBytes(path);
  if (bytes === 0) {
    const begun = headerRow.startsWith(await firstText(path));
    if (!begun) throw foreign(path, 'it has no line of columns');
    return noRows();
  }
  const parser = parse({ max_record_size: 1 << 20 });
  // The error reaches the loop below through the parser, which this destroys.
  pipeline(createReadStream(path, { end: bytes - 1 }), parser, () => undefined);
  let rows = -1;
  let failed = 0;
  try {
    for await (const cells of parser as AsyncIterable<readonly string[]>) {
      rows++;
      if (rows === 0) {
        if (cells.join() !== columns.join()) throw foreign(path, 'its columns are others');
        continue;
      }
      onPath(cells[0] ?? '');
      if (cells.at(-1) !== '') failed++;
    }
  } catch (error) {
    throw error instanceof NearvoteError ? error : foreign(path, messageOf(error));
  }
  return { rows, failed, bytes };
}

/** The first line's worth of a file; none of one that is not there. */
async function firstText(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => undefined);
  if (file === undefined) return '';
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2 * headerRow.length), 0);
    return buffer.subarray(0, bytesRead).toString();
  } finally {
    await file.close();
  }
}

const [quote, lineFeed, nought] = [0x22, 0x0a, 0];

/** How much of a file is whole rows: a run that was killed may have left a part of one at its end, or a crash noughts. */
async function wholeBytes(path: string): Promise<number> {
  let [at, whole, isQuoted] = [0, 0, false];
  try {
    for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>) {
      for (const byte of chunk) {
        at++;
        if (byte === nought) return whole;
        if (byte === quote) isQuoted = !isQuoted;
        else if (byte === lineFeed && !isQuoted) whole = at;
      }
    }
  } catch (error) {
    if (systemCodeOf(error) !== 'ENOENT') throw foreign(path, `it cannot be read (${systemCodeOf(error)})`);
  }
  return whole;
}

/** Of a file that is there and is no such result. */
export function foreign(path: string, why: string): NearvoteError {
  return new NearvoteError(
    'output_exists',
    `Expected ${path} to be what a run of nearvote classify --csv wrote but ${why}; --overwrite replaces it`,
  );
}
