import { NearvoteError } from './errors.js';

declare const unitRows: unique symbol;

/** Row-major unit vectors, `values: [count, dimension]`; made only by `asEmbeddings`, which checks the lengths. */
export interface Embeddings {
  readonly count: number;
  readonly dimension: number;
  readonly values: Float32Array;
  readonly [unitRows]: true;
}

/** Half-precision weights leave a norm this near to 1; anything further is not a normalised output. */
const normTolerance = 1e-2;

/**
 * Checks that every row of `values: [n, dimension]` is finite and of unit length.
 * @throws NearvoteError `encoder_invalid` naming the first row that is not
 */
export function asEmbeddings(values: Float32Array, dimension: number): Embeddings {
  const count = values.length / dimension;
  if (!Number.isInteger(count)) {
    throw new NearvoteError(
      'encoder_invalid',
      `Expected rows of ${dimension} values but received ${values.length} values`,
    );
  }
  for (let row = 0; row < count; row++) {
    const norm = Math.sqrt(dot(values, row * dimension, values, row * dimension, dimension));
    // Written so that NaN fails too.
    if (!(Math.abs(norm - 1) <= normTolerance)) {
      throw new NearvoteError(
        'encoder_invalid',
        `Expected embeddings of unit length but row ${row} has length ${norm}`,
      );
    }
  }
  return { count, dimension, values } as Embeddings;
}

/** The dot product of `length` values of `a` from `aStart` and of `b` from `bStart`: cosine, on unit vectors. */
export function dot(
  a: Float32Array,
  aStart: number,
  b: Float32Array,
  bStart: number,
  length: number,
): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += (a[aStart + i] ?? NaN) * (b[bStart + i] ?? NaN);
  return sum;
}
