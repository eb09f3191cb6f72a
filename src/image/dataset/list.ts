import { createReadStream } from 'node:fs';
import { dirname, extname, relative, resolve, sep } from 'node:path';
import { pipeline } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { z } from 'zod';
import { NearvoteError, systemCodeOf } from '../../domain/errors.js';
import { type Dataset, fileDataset, nameOfPath } from './dataset.js';

const rowSchema = z.object({ path: z.string().min(1), label: z.string().trim().min(1) });

interface Entry {
  /** Relative to the list's folder, with `/`. */
  readonly id: string;
  readonly label: string;
}

/** A row as it came, with the line it ends on. */
type RawRow = readonly [line: number, row: unknown];

/**
 * A list of path and label: a .csv with a header naming both (other columns are ignored) or a .jsonl of
 * `{"path", "label"}`, in its own order. Paths are relative to the list's folder; they may leave it with `..` or be
 * absolute, since whoever may write the list may read those files.
 * @throws NearvoteError `dataset_invalid` with the line of a row that is wrong or names a file again
 */
export async function openList(path: string, maxFileBytes: number): Promise<Dataset> {
  const folder = dirname(resolve(path));
  const entries: Entry[] = [];
  const lines = new Map<string, number>();
  for await (const [line, row] of extname(path).toLowerCase() === '.csv' ? csvRows(path) : jsonRows(path)) {
    const { data, error } = rowSchema.safeParse(row);
    if (data === undefined) {
      const field = String(error.issues[0]?.path[0] ?? 'row');
      throw wrongLine(path, line, `a path and a label but received no ${field === 'row' ? 'object' : field}`);
    }
    const written = relative(folder, resolve(folder, data.path)).split(sep).join('/');
    // Bytes that are no UTF-8 are all read as the same character: such a file is not found, whichever it is.
    const id = lines.has(written) && written.includes('\ufffd') ? `${written} (line ${line})` : written;
    const earlier = lines.get(id);
    if (earlier !== undefined)
      throw wrongLine(path, line, `a new path but received that of line ${earlier}: ${id}`);
    lines.set(id, line);
    entries.push({ id, label: data.label.normalize('NFC') });
  }
  if (entries.length === 0) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected rows of path and label in ${path} but received none`,
    );
  }

  return fileDataset({
    name: nameOfPath(path),
    folder,
    ids: entries.map(({ id }) => id),
    labels: entries.map(({ label }) => label),
    maxFileBytes,
  });
}

async function* csvRows(path: string): AsyncGenerator<RawRow> {
  const parser = parse({
    bom: true,
    trim: true,
    skip_empty_lines: true,
    info: true,
    // A quote that is never closed would take the rest of the file for one field.
    max_record_size: 65_536,
    columns: (header: string[]) => header.map((name) => name.toLowerCase()),
  });
  // The error reaches the loop below through the parser, which this destroys.
  pipeline(createReadStream(path), parser, () => undefined);
  try {
    for await (const row of parser as AsyncIterable<{
      readonly record: unknown;
      readonly info: { readonly lines: number };
    }>) {
      yield [row.info.lines, row.record];
    }
  } catch (error) {
    if (error instanceof NearvoteError || !(error instanceof CsvError)) throw unreadable(path, error);
    throw wrongLine(
      path,
      Number(error['lines']),
      `a row of comma-separated values but received: ${error.message}`,
    );
  }
}

async function* jsonRows(path: string): AsyncGenerator<RawRow> {
  let line = 0;
  for await (const text of linesOf(path)) {
    line++;
    if (text.trim() === '') continue;
    yield [line, parseJson(path, line, line === 1 ? text.replace(/^\ufeff/, '') : text)];
  }
}

function parseJson(path: string, line: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw wrongLine(path, line, `{"path": ..., "label": ...} but received: ${(error as Error).message}`);
  }
}

/** Splits at line feeds alone: readline also splits at U+2028, which JSON allows inside a string. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = '';
  try {
    for await (const chunk of createReadStream(path, 'utf8') as AsyncIterable<string>) {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      yield* parts;
    }
  } catch (error) {
    throw unreadable(path, error);
  }
  yield rest;
}

function wrongLine(path: string, line: number, what: string): NearvoteError {
  return new NearvoteError('dataset_invalid', `Expected in line ${line} of ${path} ${what}`);
}

function unreadable(path: string, error: unknown): NearvoteError {
  const reason = systemCodeOf(error);
  return new NearvoteError('dataset_invalid', `Expected to read ${path} but it cannot be read (${reason})`, {
    cause: error,
  });
}
