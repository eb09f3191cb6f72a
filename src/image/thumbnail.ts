import sharp from 'sharp';
import { createDecoder } from './decode.js';
import type { ImageContent } from './dataset/dataset.js';
import { uprightSize, type ImageSize } from './size.js';

/**
 * A WebP of at most `side` x `side` pixels, in the image's own proportions and upright, as the decoder sees it. Images
 * under half as large are enlarged by a whole factor without smoothing, so that 32 x 32 stays sharp.
 * @throws NearvoteError what the decoder throws
 */
export async function makeThumbnail(content: ImageContent | Uint8Array, side: number): Promise<Uint8Array> {
  const square = { width: side, height: side };
  // Made first: a decoder shuts the loaders that no image may reach.
  const opening = createDecoder({ ...square, fit: 'contain', kernel: 'lanczos3' });
  const original = await uprightSize(content);
  if (original === undefined) {
    // What is wrong is the decoder's to say.
    return toWebp(await opening.decode(content), square, false);
  }
  const factor = side / Math.max(original.width, original.height);
  const enlarge = factor >= 2;
  const scale = enlarge ? Math.floor(factor) : Math.min(1, factor);
  const size = {
    width: Math.max(1, Math.round(original.width * scale)),
    height: Math.max(1, Math.round(original.height * scale)),
  };
  const decoder = createDecoder({ ...size, fit: 'fill', kernel: enlarge ? 'nearest' : 'lanczos3' });
  return toWebp(await decoder.decode(content), size, enlarge);
}

async function toWebp(
  pixels: Uint8Array,
  { width, height }: ImageSize,
  lossless: boolean,
): Promise<Uint8Array> {
  const image = sharp(pixels, { raw: { width, height, channels: 3 } });
  // Lossy WebP halves the resolution of colour, which shows where one pixel has become many.
  return image.webp(lossless ? { lossless } : { quality: 75 }).toBuffer();
}
