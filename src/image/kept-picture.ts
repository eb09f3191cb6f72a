import { requireFormat } from './format.js';
import { makeThumbnail } from './thumbnail.js';

/** The picture of an example as it is kept: most photos of products as they are, larger ones smaller. */
export interface KeptPicture {
  readonly bytes: Uint8Array;
  readonly mediaType: string;
}

/** A file of at most so many bytes is kept as it is, with all that its metadata says. */
const mostBytes = 256 * 1024;
/** In pixels; of what is larger. */
const largestSide = 512;

/**
 * What is kept of an image file, for people to look at.
 * @throws NearvoteError what the decoder throws
 */
export async function keptPicture(file: Uint8Array): Promise<KeptPicture> {
  const format = requireFormat(file);
  // No browser shows a TIFF.
  if (file.byteLength <= mostBytes && format !== 'tiff') return { bytes: file, mediaType: `image/${format}` };
  return { bytes: await makeThumbnail(file, largestSide), mediaType: 'image/webp' };
}
