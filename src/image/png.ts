import sharp from 'sharp';
import type { ImageSize } from './size.js';

/** uint8 RGB pixels `[height, width, 3]` as a PNG file. */
export function encodePng(
  pixels: Uint8Array | Uint8ClampedArray,
  { width, height }: ImageSize,
): Promise<Uint8Array> {
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}
