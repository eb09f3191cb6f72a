import { sampleRows } from '../../domain/seeded-random.js';
import { dot, type Embeddings } from '../../domain/embeddings.js';
import { queriesOf } from '../../neighbours/recall.js';
import type { MapSection } from '../../report/section.js';
import type { EmbeddedDataset } from '../../embed/embed-dataset.js';

export interface MapOptions {
  readonly embedded: Pick<EmbeddedDataset, 'embeddings' | 'images'>;
  readonly name: string;
  /** Images on the map, chosen by seed. */
  readonly most: number;
  readonly seed: number;
}

/** A t-SNE map of the images, coloured by their true labels. */
export async function mapSection({ embedded, name, most, seed }: MapOptions): Promise<MapSection> {
  const rows = sampleRows({ size: embedded.images.length, count: most, seed }).sort();
  const places = await tsneMap(queriesOf(embedded.embeddings, rows), { seed });
  const points = Array.from(rows, (row, i) => ({
    x: places[2 * i] ?? NaN,
    y: places[2 * i + 1] ?? NaN,
    label: embedded.images[row]?.label ?? '',
  }));
  return {
    kind: 'map',
    title: 'Map of the embeddings',
    note: `t-SNE of ${rows.length} of ${embedded.images.length} images, coloured by true label. What is near on the map is near in the embedding; far distances and the sizes of heaps mean little.`,
    maps: [{ name, points }],
  };
}

/** About how many neighbours each point weighs: the middle of what the paper advises. */
const usualPerplexity = 30;
const iterations = 400;

/**
 * A map of embeddings `[n, dimension]` in the plane, `[n, 2]`: near points stay near, far distances mean little. t-SNE
 * (van der Maaten and Hinton, JMLR 2008) on squared Euclidean distance, which on unit vectors is 2 - 2 cosine. The
 * same embeddings and seed give the same map on one machine. Exact, so the square of n in time and memory: 2,000
 * points are comfortable, 5,000 are minutes and a gigabyte. It holds its thread.
 */
export async function tsneMap(
  embeddings: Embeddings,
  { seed }: { readonly seed: number },
): Promise<Float32Array> {
  const { count } = embeddings;
  if (count < 2) return new Float32Array(2 * count);
  // Loaded when a map is wanted: most commands draw none.
  const { TSNE } = await import('@saehrimnir/druidjs');
  const tsne = new TSNE(shiftedDistances(embeddings), {
    metric: 'precomputed',
    seed,
    perplexity: Math.max(2, Math.min(usualPerplexity, (count - 1) / 3)),
    // Its gradient has the factor 4 and its early exaggeration is 4: scikit-learn's 'auto' in those terms.
    epsilon: Math.max(50, count / 16),
  });
  // It sizes momentum and gains by the input's columns, though they are the map's: here that would be the square of n.
  tsne._D = 2;
  const map = new Float32Array(2 * count);
  for (const [i, point] of tsne.transform(iterations).entries()) map.set(point, 2 * i);
  return map;
}

/**
 * Squared distances `[n, n]`, each row less its least: the row's softmax is the same, and far rows no longer underflow
 * to 0 / 0 where many neighbours are equally far, as duplicates are.
 */
function shiftedDistances({ count, dimension, values }: Embeddings): Float64Array[] {
  const rows = Array.from({ length: count }, () => new Float64Array(count));
  for (const [i, row] of rows.entries()) {
    for (let j = 0; j < i; j++) {
      const distance = 2 - 2 * dot(values, i * dimension, values, j * dimension, dimension);
      row[j] = distance;
      const other = rows[j];
      if (other !== undefined) other[i] = distance;
    }
  }
  for (const [i, row] of rows.entries()) {
    row[i] = Infinity;
    const least = row.reduce((a, b) => Math.min(a, b));
    for (let j = 0; j < count; j++) row[j] = (row[j] ?? 0) - least;
    row[i] = 0;
  }
  return rows;
}
