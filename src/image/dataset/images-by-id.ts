import { NearvoteError } from '../../domain/errors.js';
import type { Dataset, LabelledImage } from './dataset.js';

export interface ImagesByIdOptions {
  readonly dataset: Dataset;
  readonly ids: readonly string[];
  /** Where the dataset is, for the message. */
  readonly place: string;
}

/**
 * The images of a dataset that have these ids, in the order of the ids. Nothing is read.
 * @throws NearvoteError `dataset_invalid` naming the first id that the dataset lacks
 */
export async function imagesById({ dataset, ids, place }: ImagesByIdOptions): Promise<LabelledImage[]> {
  const wanted = new Set(ids);
  const found = new Map<string, LabelledImage>();
  for await (const image of dataset.images()) if (wanted.has(image.id)) found.set(image.id, image);
  const missing = ids.filter((id) => !found.has(id));
  if (missing.length > 0) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected ${ids.length} images by id in ${place} but ${missing.length} are not there, the first: ${missing[0] ?? ''}`,
    );
  }
  return ids.flatMap((id) => found.get(id) ?? []);
}
