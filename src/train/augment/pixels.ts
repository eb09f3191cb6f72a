import type { Random } from '../../domain/seeded-random.js';

/** uint8 RGB `[height, width, 3]`; the clamped array rounds and clips what is written to it. */
export interface Pixels {
  readonly values: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

/**
 * One random change of an image. The image it is given stays as it is; the one it returns may be that one, and lasts until
 * its next call, since a new array for every view would cost as much as filling it.
 */
export type Augmentation = (image: Pixels, random: Random) => Pixels;

/** A number from `low` to below `high`. */
export function uniform(random: Random, low: number, high: number): number {
  return low + (high - low) * random();
}

/** A whole number from 0 to below `end`. */
export function below(random: Random, end: number): number {
  return Math.floor(random() * end);
}

/** Gives the same array again for the same length; what it holds is for the caller to overwrite. */
export function keptArray(): (length: number) => Uint8ClampedArray {
  let kept = new Uint8ClampedArray(0);
  return (length) => {
    if (kept.length !== length) kept = new Uint8ClampedArray(length);
    return kept;
  };
}
