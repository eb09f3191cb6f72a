import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { basename, isAbsolute, resolve } from 'node:path';
import { NearvoteError, systemCodeOf } from '../../domain/errors.js';

/** One labelled image before decoding. */
export interface LabelledImage {
  /** Stable within the dataset and unique: the relative path with `/`, or `<batch file>#<record>` for CIFAR. */
  readonly id: string;
  readonly label: string;
  readonly source: string;
  /** Reads the bytes or pixels; nothing is held before this is called. */
  read(): Promise<ImageContent>;
}

/** An encoded file, or raw RGB pixels `[height, width, 3]`. */
export type ImageContent =
  | { readonly kind: 'file'; readonly bytes: Uint8Array }
  | { readonly kind: 'pixels'; readonly pixels: Uint8Array; readonly width: number; readonly height: number };

export interface Dataset {
  /** In words, for reports: `cifar10 (train)`, `clothing/validation`. */
  readonly name: string;
  /** How many images it lists; known before any is read. */
  readonly size: number;
  /** How many images each label has. */
  readonly labelCounts: ReadonlyMap<string, number>;
  /** Files that lie where a label would be told by a folder but none is: they are left out. None unless said. */
  readonly unlabelled?: readonly string[];
  /** How many files were taken for no images, by what their names end with. None unless said. */
  readonly passedOver?: ReadonlyMap<string, number>;
  /** Folders of classes without an image. None unless said. */
  readonly emptyClasses?: readonly string[];
  /** In a stable order, independent of the file system's. */
  images(): AsyncIterable<LabelledImage>;
}

/**
 * What reports call a folder or a list: the last two parts of its path as it was typed, `clothing/validation`, and of an
 * absolute path the last alone, since what is published with an index is to tell nothing of a machine.
 */
export function nameOfPath(path: string): string {
  const parts = path.split(/[/\\]/).filter((part) => !['', '.', '..'].includes(part));
  const shown = parts.slice(isAbsolute(path) ? -1 : -2).join('/');
  return shown === '' ? basename(resolve(path)) || 'folder' : shown;
}

/** How many images each label has, labels in code-unit order. */
export function countLabels(labels: Iterable<string>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return new Map([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The images of a dataset that have one of these ids, by id; those it lacks are missing. Nothing is read. */
export async function imagesById(
  dataset: Dataset,
  ids: Iterable<string>,
): Promise<Map<string, LabelledImage>> {
  const wanted = new Set(ids);
  const found = new Map<string, LabelledImage>();
  for await (const image of dataset.images()) if (wanted.has(image.id)) found.set(image.id, image);
  return found;
}

export interface EveryImageByIdOptions {
  readonly dataset: Dataset;
  readonly ids: readonly string[];
  /** Where the dataset is, for the message. */
  readonly place: string;
}

/**
 * An image for each of these ids, in their order.
 * @throws NearvoteError `dataset_invalid` naming the first id that the dataset lacks
 */
export async function everyImageById(options: EveryImageByIdOptions): Promise<LabelledImage[]> {
  const { dataset, ids, place } = options;
  const found = await imagesById(dataset, ids);
  const missing = ids.filter((id) => !found.has(id));
  if (missing.length > 0) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected ${ids.length} images by id in ${place} but ${missing.length} are not there, the first: ${missing[0] ?? ''}`,
    );
  }
  return ids.flatMap((id) => found.get(id) ?? []);
}

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
export async function readImageFile({
  id,
  path,
  maxBytes,
}: ImageFile): Promise<Extract<ImageContent, { kind: 'file' }>> {
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
    const reason = systemCodeOf(error);
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
