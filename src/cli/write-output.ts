import { writeFile } from 'node:fs/promises';
import { NearvoteError } from '../domain/errors.js';

/**
 * Writes what a command was asked to leave in a file.
 * @throws NearvoteError `output_unwritable`
 */
export async function writeOutput(file: string, content: string): Promise<void> {
  try {
    await writeFile(file, content);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NearvoteError('output_unwritable', `Expected to write ${file} but: ${reason}`, { cause });
  }
}
