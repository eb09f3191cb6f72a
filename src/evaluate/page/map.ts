import { sampleRows } from '../../build/sample-rows.js';
import { queriesOf } from '../../neighbours/recall.js';
import type { MapSection } from '../../report/section.js';
import type { EmbeddedDataset } from '../embed-dataset.js';
import { tsneMap } from '../tsne.js';

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
