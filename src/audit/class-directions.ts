import { dot, type Embeddings } from '../domain/embeddings.js';
import type { Labelling } from './labelling.js';

/** The mean direction of each label's examples. */
export interface ClassDirections {
  /** Writes the cosine of a row to each label's direction, the row itself left out of its own, `[labels]`. */
  cosines(row: number, into: Float64Array): void;
}

export interface ClassDirectionsOptions {
  readonly embeddings: Embeddings;
  readonly labelling: Labelling;
  /** Whether a row's label is believed. A label with fewer than two such rows is made of all its rows. */
  readonly trusted: readonly boolean[];
}

/** Sums up each label's trusted rows, so that a wrong label pulls no direction towards itself. */
export function classDirections(options: ClassDirectionsOptions): ClassDirections {
  const { embeddings, labelling } = options;
  const { dimension, values, count } = embeddings;
  const members = membersOf(options);
  const sums = new Float32Array(labelling.names.length * dimension);
  for (let row = 0; row < count; row++) {
    if (members[row] !== true) continue;
    const start = (labelling.of[row] ?? 0) * dimension;
    for (let i = 0; i < dimension; i++) {
      sums[start + i] = (sums[start + i] ?? 0) + (values[row * dimension + i] ?? 0);
    }
  }
  const squares = labelling.names.map((_, label) =>
    dot(sums, label * dimension, sums, label * dimension, dimension),
  );

  return {
    cosines: (row, into) => {
      const own = labelling.of[row];
      for (let label = 0; label < labelling.names.length; label++) {
        let along = dot(values, row * dimension, sums, label * dimension, dimension);
        let square = squares[label] ?? 0;
        if (label === own && members[row] === true) {
          // x . (S - x) and |S - x|^2 for the unit row x and the sum S that holds it.
          square = square - 2 * along + 1;
          along -= 1;
        }
        into[label] = square > 1e-9 ? along / Math.sqrt(square) : 0;
      }
    },
  };
}

function membersOf({ labelling, trusted }: ClassDirectionsOptions): readonly boolean[] {
  const believed = new Int32Array(labelling.names.length);
  for (const [row, label] of labelling.of.entries()) {
    if (trusted[row] === true) believed[label] = (believed[label] ?? 0) + 1;
  }
  return Array.from(labelling.of, (label, row) => trusted[row] === true || (believed[label] ?? 0) < 2);
}
