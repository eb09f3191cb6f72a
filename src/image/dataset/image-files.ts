import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { resolve } from 'node:path';
import { NearvoteError } from '../../domain/errors.js';
import { countLabels, type Dataset, type ImageContent, type LabelledImage } from './dataset.js';

export interface FileList {
  readonly name: string;
  /** What the ids are relative to. */
  readonly folder: string;
  readonly ids: readonly string[];
  /** One for each id. */
  readonly labels: readonly string[];
  readonly maxFileBytes: number;
  /** Why some of the ids can never be read. */
  readonly unreadable?: ReadonlyMap<string, string> | undefined;
}

/** A dataset of image files that are opened one by one, each when it is read. */
export function fileDataset(list: FileList): Dataset {
  const { name, folder, ids, labels, maxFileBytes, unreadable } = list;
  const image = (id: string, label: string): LabelledImage => ({
    id,
    label,
    source: id,
    read: async () => {
      const reason = unreadable?.get(id);
      if (reason !== undefined) throw cannotBeRead(id, reason);
      return readImageFile({ id, path: resolve(folder, id), maxBytes: maxFileBytes });
    },
  });

  return {
    name,
    size: ids.length,
    labelCounts: countLabels(labels),
    images: () => ({
      [Symbol.asyncIterator]() {
        let at = 0;
        return {
          next() {
            const [id, label] = [ids[at], labels[at]];
            at++;
            if (id === undefined || label === undefined)
              return Promise.resolve({ done: true, value: undefined });
            return Promise.resolve({ done: false, value: image(id, label) });
          },
        };
      },
    }),
  };
}

interface ImageFile {
  /** Names the image in an error; the path is never shown. */
  readonly id: string;
  readonly path: string;
  readonly maxBytes: number;
}

/**
 * Reads one image file whole, unless it is larger than `maxBytes`.
 * @throws NearvoteError `image_too_large` before a byte is read; `image_missing` where it is gone or cannot be read
 */
async function readImageFile({ id, path, maxBytes }: ImageFile): Promise<ImageContent> {
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
    throw cannotBeRead(id, reason, { cause: error });
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

function cannotBeRead(id: string, reason: string, options?: ErrorOptions): NearvoteError {
  return new NearvoteError(
    'image_missing',
    `Expected to read ${id} but it cannot be read (${reason})`,
    options,
  );
}
