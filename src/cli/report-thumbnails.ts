import { NearvoteError } from '../domain/errors.js';
import type { LabelledImage } from '../image/dataset/dataset.js';
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
