import type { Random } from '../../domain/seeded-random.js';

/** uint8 RGB `[height, width, 3]`; the clamped array rounds and clips what is written to it. */
export interface Pixels {
  readonly values: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/** One random change of an image; the image it is given stays as it is. */
export type Augmentation = (image: Pixels, random: Random) => Pixels;

/** A number from `low` to below `high`. */
export function uniform(random: Random, low: number, high: number): number {
  return low + (high - low) * random();
}

/** A whole number from 0 to below `end`. */
export function below(random: Random, end: number): number {
  return Math.floor(random() * end);
}
