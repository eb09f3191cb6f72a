import { open } from 'node:fs/promises';
import { NearvoteError } from '../domain/errors.js';

/** Writes a file and waits until it is on the disk. */
export async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  const file = await open(path, 'w');
  try {
    await file.writeFile(content);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Flushes a file, or a folder's entries, to the disk. */
export async function syncPath(path: string): Promise<void> {
  try {
    const file = await open(path, 'r');
    await file.sync().finally(() => file.close());
  } catch (error) {
    // Windows and some network file systems cannot flush a folder; a file's failure is real.
    if (!unflushable.has((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

const unflushable: ReadonlySet<string> = new Set(['EPERM', 'EINVAL', 'EISDIR', 'EBADF']);

/**
 * Runs something that writes below `root`.
 * @throws NearvoteError `output_unwritable` for what the file system refuses
 */
export async function writing<T>(root: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (cause) {
    if (cause instanceof NearvoteError || !(cause instanceof Error) || !('syscall' in cause)) throw cause;
    throw new NearvoteError('output_unwritable', `Expected to write in ${root} but: ${cause.message}`, {
      cause,
    });
  }
}
