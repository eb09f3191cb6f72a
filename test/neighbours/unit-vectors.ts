import { asEmbeddings, type Embeddings } from '../../src/domain/embeddings.js';

/** Seeded random numbers in [0, 1): Park and Miller's minimal standard generator. */
export function seededRandom(seed: number): () => number {
  let state = (seed % 2147483646) + 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return (state - 1) / 2147483646;
  };
}

/** Rows scaled to unit length. */
export function unitRows(rows: readonly (readonly number[])[]): Embeddings {
  const dimension = rows[0]?.length ?? 0;
  const values = rows.flatMap((row) => {
    const norm = Math.hypot(...row);
    return row.map((value) => value / norm);
  });
  return asEmbeddings(Float32Array.from(values), dimension);
}

/** `count` seeded directions, `[count, dimension]`. */
export function randomUnitRows(count: number, dimension: number, seed = 1): Embeddings {
  const random = seededRandom(seed);
  return unitRows(
    Array.from({ length: count }, () => Array.from({ length: dimension }, () => random() + random() - 1)),
  );
}

/** Points on the unit circle at these angles, in degrees: neighbours can be told by eye. */
export function onCircle(degrees: readonly number[]): Embeddings {
  return unitRows(
    degrees.map((angle) => [Math.cos((angle * Math.PI) / 180), Math.sin((angle * Math.PI) / 180)]),
  );
}

/** The k nearest rows by a double loop and a stable sort, in double precision. */
export function nearestByLoop(
  examples: Embeddings,
  queries: Embeddings,
  k: number,
): { rows: number[]; similarities: number[] }[] {
  const row = (set: Embeddings, i: number): number[] =>
    Array.from(set.values.subarray(i * set.dimension, (i + 1) * set.dimension));
  return Array.from({ length: queries.count }, (_, q) => {
    const query = row(queries, q);
    const ranked = Array.from({ length: examples.count }, (_unused, e) => ({
      e,
      similarity: row(examples, e).reduce((sum, value, i) => sum + value * (query[i] ?? NaN), 0),
    })).sort((a, b) => b.similarity - a.similarity);
    return {
      rows: ranked.slice(0, k).map(({ e }) => e),
      similarities: ranked.slice(0, k).map(({ similarity }) => similarity),
    };
  });
}
