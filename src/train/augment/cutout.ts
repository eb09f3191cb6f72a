import { below, keptArray, type Augmentation } from './pixels.js';

export interface CutoutOptions {
  readonly probability: number;
  /** The side of the square as a share of the image's shorter side. */
  readonly side: number;
  /** The grey that it is filled with, 0 to 255. */
  readonly fill: number;
}

/**
 * Blanks a square around a random pixel, clipped at the border so that some show only in part: DeVries and Taylor 2017,
 * arXiv:1708.04552.
 */
export function cutout({ probability, side, fill }: CutoutOptions): Augmentation {
  const outOf = keptArray();
  return (image, random) => {
    if (random() >= probability) return image;
    const { width, height } = image;
    const length = Math.round(side * Math.min(width, height));
    const left = below(random, width) - Math.floor(length / 2);
    const top = below(random, height) - Math.floor(length / 2);
    const values = outOf(image.values.length);
    values.set(image.values);
    const [from, to] = [Math.max(0, left), Math.min(width, left + length)];
    for (let y = Math.max(0, top); y < Math.min(height, top + length); y++) {
      values.fill(fill, (y * width + from) * 3, (y * width + to) * 3);
    }
    return { values, width, height };
  };
}
