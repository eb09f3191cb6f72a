import { access, constants, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { NearvoteError } from '../domain/errors.js';

/**
 * Whether a file could be written, before the long work that makes it.
 * @throws NearvoteError `output_unwritable`
 */
export async function checkWritable(file: string): Promise<void> {
  await access(dirname(resolve(file)), constants.W_OK).catch((cause: unknown) => {
    throw unwritable(file, cause);
  });
}

/** @throws NearvoteError `output_unwritable` */
export async function writeOutput(file: string, text: string): Promise<void> {
  await writeFile(file, text).catch((cause: unknown) => {
    throw unwritable(file, cause);
  });
}

function unwritable(file: string, cause: unknown): NearvoteError {
  const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
  return new NearvoteError('output_unwritable', `Expected to write ${file} but cannot (${reason})`, {
    cause,
  });
}
