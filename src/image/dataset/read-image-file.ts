import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { NearvoteError } from '../../domain/errors.js';
import type { ImageContent } from './dataset.js';

export interface ImageFile {
  /** Names the image in an error; the path is never shown. */
  readonly id: string;
  readonly path: string;
  readonly maxBytes: number;
}

/**
 * Reads one image file whole, unless it is larger than `maxBytes`.
 * @throws NearvoteError `image_too_large` before a byte is read; `image_missing` where it is gone or cannot be read
 */
export async function readImageFile({ id, path, maxBytes }: ImageFile): Promise<ImageContent> {
  let file: FileHandle | undefined;
  try {
    // Not blocking, so that a named pipe cannot hold the build up for ever.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stats = await file.stat();
    if (!stats.isFile()) {
      throw new NearvoteError('image_missing', `Expected an image file but ${id} is something else`);
    }
    if (stats.size > maxBytes) {
      throw new NearvoteError(
        'image_too_large',
        `Expected an image file of at most ${maxBytes} bytes but ${id} has ${stats.size}`,
      );
    }
    return { kind: 'file', bytes: await readUpTo(file, stats.size) };
  } catch (error) {
    if (error instanceof NearvoteError) throw error;
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new NearvoteError('image_missing', `Expected to read ${id} but it cannot be read (${reason})`, {
      cause: error,
    });
  } finally {
    await file?.close();
  }
}

/** A file that shrinks meanwhile gives what is left of it; one that grows no more than it was. */
async function readUpTo(file: FileHandle, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await file.read(bytes, filled, size - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
