import { NearvoteError } from '../../domain/errors.js';
import type { Dataset, LabelledImage } from './dataset.js';

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
