import { NearvoteError } from '../../domain/errors.js';

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
  /** In words, for reports: `cifar10 (train)`, `folder`. */
  readonly name: string;
  /** How many images it lists; known before any is read. */
  readonly size: number;
  /** How many images each label has. */
  readonly labelCounts: ReadonlyMap<string, number>;
  /** In a stable order, independent of the file system's. */
  images(): AsyncIterable<LabelledImage>;
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
