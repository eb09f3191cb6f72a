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
 * Cosines, and shares of a vote, that differ by no more than this are equal. A cosine is rounded differently, by up to about a
 * millionth, in a batch of another size, by HNSW and by exact search, and on another processor, and SupCon makes
 * images all but the same: whatever a comparison decides must not turn on that. Each search lists its neighbours by
 * the cosines as they are, equal ones in the order of the index; where the k-th is nearly as near as the next, which of them
 * votes is not settled by this.
 */
export const tieTolerance = 1e-5;

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
