import type { Random } from '../../../src/domain/seeded-random.js';
import type { Pixels } from '../../../src/train/augment/pixels.js';

export type Rgb = readonly [number, number, number];

/** Greys by row, `[height, width]`, each pixel alike in its three channels. */
export function greys(rows: readonly (readonly number[])[]): Pixels {
  const values = rows.flatMap((row) => row.flatMap((grey) => [grey, grey, grey]));
  return { values: Uint8ClampedArray.from(values), width: rows[0]?.length ?? 0, height: rows.length };
}

/** One row of colours. */
export function colours(...pixels: readonly Rgb[]): Pixels {
  return { values: Uint8ClampedArray.from(pixels.flat()), width: pixels.length, height: 1 };
}

/** The first channel by row. */
export function rowsOf({ values, width, height }: Pixels): number[][] {
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => values[(y * width + x) * 3] ?? NaN),
  );
}

/** Draws these numbers one after another. @throws Error when there are no more */
export function draws(...numbers: readonly number[]): Random {
  const waiting = [...numbers];
  return () => {
    const next = waiting.shift();
    if (next === undefined) throw new Error('Expected no further draw');
    return next;
  };
}
