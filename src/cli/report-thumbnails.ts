import { NearvoteError } from '../domain/errors.js';
import type { Dataset, LabelledImage } from '../image/dataset/dataset.js';
import { makeThumbnail } from '../image/thumbnail.js';

/** In pixels: 32 x 32 images thrice as large. */
const side = 96;

/** Thumbnails of images by id; one that can no longer be read has none. */
export async function thumbnailsOf(images: Iterable<LabelledImage>): Promise<Map<string, Uint8Array>> {
  const thumbnails = new Map<string, Uint8Array>();
  for (const image of images) {
    if (thumbnails.has(image.id)) continue;
    try {
      thumbnails.set(image.id, await makeThumbnail(await image.read(), side));
    } catch (error) {
      if (!(error instanceof NearvoteError)) throw error;
    }
  }
  return thumbnails;
}

/** The images of a dataset that have one of these ids. */
export async function imagesById(dataset: Dataset, ids: ReadonlySet<string>): Promise<LabelledImage[]> {
  const found: LabelledImage[] = [];
  for await (const image of dataset.images()) if (ids.has(image.id)) found.push(image);
  return found;
}
