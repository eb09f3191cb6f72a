import { readFile } from 'node:fs/promises';
import { dirname, relative, resolve } from 'node:path';
import { z } from 'zod';
import { NearvoteError } from '../domain/errors.js';
import { writeDurably } from '../files/durable.js';
import type { Circumstances } from './answers.js';
import { foreign } from './former-rows.js';

/** How the rows of a result file came about; it lies beside that. */
const recordSchema = z.strictObject({
  schemaVersion: z.literal(1),
  /** What relative paths are relative to, from the folder of the result file. */
  folder: z.string(),
  circumstances: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});

export interface RecordPlaces {
  /** The result file as it was named. */
  readonly file: string;
  /** Where it is. */
  readonly path: string;
  readonly recordFile: string;
}

/** @throws the file system's own error */
export async function writeRecord(
  { path, recordFile }: RecordPlaces,
  circumstances: Circumstances,
): Promise<void> {
  const text = JSON.stringify({ schemaVersion: 1, folder: folderOf(path), circumstances }, undefined, 2);
  await writeDurably(recordFile, `${text}\n`);
}

/** Where this process runs, from the folder of the result file: both may be moved together. */
function folderOf(path: string): string {
  return relative(dirname(path), process.cwd()) || '.';
}

/** @throws NearvoteError `output_exists` unless the rows came about as further ones would */
export async function checkRecord(
  { file, path, recordFile }: RecordPlaces,
  circumstances: Circumstances,
): Promise<void> {
  const text = await readFile(recordFile, 'utf8').catch(() => undefined);
  const { data } = recordSchema.safeParse(text === undefined ? undefined : parseJson(text));
  if (data === undefined) {
    throw foreign(file, `there is no record in ${recordFile} of how its rows came about`);
  }
  if (data.folder !== folderOf(path)) {
    throw new NearvoteError(
      'output_exists',
      `Expected to go on with ${file} in the folder in which it was begun, ${resolve(dirname(path), data.folder)}, since its paths may be relative to that; --overwrite begins anew`,
    );
  }
  const names = new Set([...Object.keys(data.circumstances), ...Object.keys(circumstances)]);
  const differing = [...names].filter((name) => data.circumstances[name] !== circumstances[name]);
  if (differing.length === 0) return;
  const said = differing.map(
    (name) => `${name} was ${shown(data.circumstances[name])} and is ${shown(circumstances[name])}`,
  );
  throw new NearvoteError(
    'output_exists',
    `Expected to go on with ${file} as it was begun but ${said.join(', ')}; --overwrite begins anew`,
  );
}

function shown(value: string | number | boolean | undefined): string {
  const text = value === undefined ? 'not set' : String(value);
  // Of a hash, enough to tell it from another.
  return /^[0-9a-f]{64}$/.test(text) ? `${text.slice(0, 12)}…` : text;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
