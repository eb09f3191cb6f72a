import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename, isAbsolute, join, relative, sep } from 'node:path';
import { NearvoteError } from '../domain/errors.js';

/**
 * Reads a file of an encoder's folder.
 * @throws NearvoteError `encoder_missing` when it is not there or cannot be read, `encoder_invalid` when `file`
 * leads out of the folder
 */
export async function readEncoderFile(dir: string, file: string): Promise<Uint8Array> {
  const path = join(dir, file);
  const inside = relative(dir, path);
  if (isAbsolute(file) || inside === '..' || inside.startsWith(`..${sep}`)) {
    throw new NearvoteError('encoder_invalid', `Expected a file inside ${dir} but received ${file}`);
  }
  try {
    return await readFile(path);
  } catch (cause) {
    const reason = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown error';
    const said =
      reason === 'ENOENT' || reason === 'ENOTDIR' ? 'there is none' : `it cannot be read: ${reason}`;
    throw new NearvoteError(
      'encoder_missing',
      `Expected an encoder's ${basename(file)} at ${path} but ${said}`,
      {
        cause,
      },
    );
  }
}

/** Lower-case hex of the parts' bytes in order. */
export function sha256Of(parts: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
