import { NearvoteError } from '../domain/errors.js';
import type { ImageContent, LabelledImage } from './dataset/dataset.js';
import { createDecoder } from './decode.js';
import { resizeTo, type Size } from './geometry.js';
import { sharp, uprightSize } from './sharp.js';

/**
 * A WebP of at most `side` x `side` pixels, in the image's own proportions and upright, as the decoder sees it. Images
 * under half as large are enlarged by a whole factor without smoothing, so that 32 x 32 stays sharp.
 * @throws NearvoteError what the decoder throws
 */
export async function makeThumbnail(content: ImageContent | Uint8Array, side: number): Promise<Uint8Array> {
  const square = { width: side, height: side };
  const original = await uprightSize(content);
  if (original === undefined) {
    // What is wrong is the decoder's to say.
    const geometry = resizeTo({ ...square, fit: 'contain', kernel: 'lanczos3' });
    return toWebp(await createDecoder({ geometry }).decode(content), square, false);
  }
  const factor = side / Math.max(original.width, original.height);
  const enlarge = factor >= 2;
  const scale = enlarge ? Math.floor(factor) : Math.min(1, factor);
  const size = {
    width: Math.max(1, Math.round(original.width * scale)),
    height: Math.max(1, Math.round(original.height * scale)),
  };
  const geometry = resizeTo({ ...size, fit: 'fill', kernel: enlarge ? 'nearest' : 'lanczos3' });
  return toWebp(await createDecoder({ geometry }).decode(content), size, enlarge);
}

/** In pixels: 32 x 32 images thrice as large. */
const reportSide = 96;

/** Thumbnails of images by id, for a report; one that can no longer be read has none. */
export async function thumbnailsOf(images: Iterable<LabelledImage>): Promise<Map<string, Uint8Array>> {
  const thumbnails = new Map<string, Uint8Array>();
  for (const image of images) {
    if (thumbnails.has(image.id)) continue;
    try {
      thumbnails.set(image.id, await makeThumbnail(await image.read(), reportSide));
    } catch (error) {
      if (!(error instanceof NearvoteError)) throw error;
    }
  }
  return thumbnails;
}

async function toWebp(pixels: Uint8Array, { width, height }: Size, lossless: boolean): Promise<Uint8Array> {
  const image = sharp(pixels, { raw: { width, height, channels: 3 } });
  // Lossy WebP halves the resolution of colour, which shows where one pixel has become many.
  return image.webp(lossless ? { lossless } : { quality: 75 }).toBuffer();
}

/** uint8 RGB pixels `[height, width, 3]` as a PNG file. */
export function encodePng(
  pixels: Uint8Array | Uint8ClampedArray,
  { width, height }: Size,
): Promise<Uint8Array> {
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}
