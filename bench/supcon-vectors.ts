import { join } from 'node:path';
import { asEmbeddings, type Embeddings } from '../src/domain/embeddings.js';
import { permutation, seededRandom } from '../src/domain/seeded-random.js';
import { openIndex } from '../src/examples/index-store.js';
import { readEmbeddingsFile } from '../src/neighbours/embeddings-file.js';

export interface SupConVectorsOptions {
  /** An index whose embeddings a SupCon encoder made. */
  readonly index: string;
  readonly labels: number;
  /** At most that of the index. */
  readonly dimension: number;
}

/** Draws rows `from` to `from + count` of an endless set of unit vectors, `[count, dimension]`: the same rows at every call. */
export type DrawVectors = (from: number, count: number) => Embeddings;

/**
 * Unit vectors that lie about the centres of labels as a SupCon encoder's do. A label takes the mean of a real one, turned by
 * a permutation of the coordinates with random signs; a vector deviates from it by two real deviations, mixed so that their
 * covariance stays. Labels are dealt in turn.
 */
export async function supConVectors(options: SupConVectorsOptions): Promise<DrawVectors> {
  const { index, labels, dimension } = options;
  const { dir, manifest, examples } = await openIndex(index);
  const width = manifest.dimension;
  const { values } = await readEmbeddingsFile({
    path: join(dir, 'embeddings.f32'),
    count: examples.length,
    dimension: width,
  });
  const rowsOf = new Map<string, number[]>();
  for (const [row, { label }] of examples.entries()) rowsOf.set(label, [...(rowsOf.get(label) ?? []), row]);
  const sources = [...rowsOf.values()].map((rows) => ({ rows, mean: meanOf(values, rows, width) }));

  const turns = Array.from({ length: labels }, (_, label) => {
    const random = seededRandom(label + 1);
    const order = permutation(width, random).subarray(0, dimension);
    return { order, signs: Float32Array.from(order, () => (random() < 0.5 ? -1 : 1)) };
  });

  return (from, count) => {
    const drawn = new Float32Array(count * dimension);
    for (let i = 0; i < count; i++) {
      const row = from + i;
      const random = seededRandom(row + 1);
      const turn = turns[row % labels];
      const source = sources[(row % labels) % sources.length];
      if (turn === undefined || source === undefined) throw new Error('there are no labels');
      const { rows, mean } = source;
      const pick = (): number => (rows[Math.floor(random() * rows.length)] ?? 0) * width;
      const [one, other, angle] = [pick(), pick(), random() * 2 * Math.PI];
      const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
      const out = drawn.subarray(i * dimension, (i + 1) * dimension);
      let squares = 0;
      for (const [to, at] of turn.order.entries()) {
        const centre = mean[at] ?? 0;
        const deviation =
          cos * ((values[one + at] ?? 0) - centre) + sin * ((values[other + at] ?? 0) - centre);
        const value = (turn.signs[to] ?? 1) * (centre + deviation);
        out[to] = value;
        squares += value * value;
      }
      const norm = Math.sqrt(squares);
      for (let to = 0; to < dimension; to++) out[to] = (out[to] ?? 0) / norm;
    }
    return asEmbeddings(drawn, dimension);
  };
}

function meanOf(values: Float32Array, rows: readonly number[], width: number): Float32Array {
  const mean = new Float32Array(width);
  for (const row of rows) {
    for (let i = 0; i < width; i++) mean[i] = (mean[i] ?? 0) + (values[row * width + i] ?? 0) / rows.length;
  }
  return mean;
}
