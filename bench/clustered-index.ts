import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createVersionFiles } from '../src/build/version-files.js';
import { readEncoderManifest } from '../src/encoder/load.js';
import { readPublished, type PublishedVersion } from '../src/examples/index-store.js';
import { stageVersion } from '../src/examples/publish.js';
import { digestFile } from '../src/files/digest.js';
import { createHnswBuilder, loadHnswModule } from '../src/neighbours/hnsw.js';
import { seededRandom } from './drawn-images.js';

export interface ClusteredIndexOptions {
  /** Where the index lies; one that is there already is taken as it is. */
  readonly root: string;
  /** Of the encoder that the index says it was built with. */
  readonly encoderDir: string;
  readonly examples: number;
  readonly dimension: number;
  /** Called now and then with the rows that are done. */
  readonly onProgress: (rows: number) => void;
}

const clusters = 1_000;
const labels = 100;
/** Quick to build: what it finds matters less here than what it holds. */
const parameters = { m: 16, efConstruction: 40, seed: 1 };
const rowsATurn = 500;

/** Writes unit vectors about a thousand centres as a published index, row by row: only the graph is held meanwhile. */
export async function writeClusteredIndex(options: ClusteredIndexOptions): Promise<PublishedVersion> {
  const { root, encoderDir, examples, dimension, onProgress } = options;
  if (existsSync(join(root, 'current'))) return readPublished(root);
  const module = await loadHnswModule();
  if (module === undefined) throw new Error('hnswlib-node is not built here');
  await mkdir(root, { recursive: true });
  const { name, version, sha256 } = await readEncoderManifest(encoderDir);
  const staged = await stageVersion(root);
  try {
    const files = createVersionFiles(staged.dir);
    const graph = createHnswBuilder({ module, dimension, maxElements: examples, ...parameters });
    const draw = clusteredVectors(dimension);
    for (let row = 0; row < examples; row++) {
      const { cluster, vector } = draw(row);
      const label = labelOf(cluster);
      const id = `${label}/image-${String(row).padStart(8, '0')}.jpg`;
      files.addExample({ id, label, source: id }, vector);
      graph.add(vector);
      if (row % rowsATurn !== 0) continue;
      onProgress(row);
      // The lock of the folder is kept alive by a timer.
      await new Promise((resolve) => setImmediate(resolve));
    }
    const file = join(staged.dir, 'vectors.hnsw');
    await graph.write(file);
    await staged.publish({
      keep: 1,
      manifest: {
        schemaVersion: 1,
        encoder: { name, version, sha256 },
        dataset: 'clustered vectors',
        ...{ dimension, space: 'ip', ...parameters, ef: 64, examples },
        labels: labelCounts(examples),
        createdAt: new Date().toISOString(),
        recall: null,
        files: { ...files.close(), 'vectors.hnsw': await digestFile(file) },
      },
    });
  } finally {
    await staged.close();
  }
  return readPublished(root);
}

const clusterOf = (row: number): number => row % clusters;
const labelOf = (cluster: number): string => `label-${String(cluster % labels).padStart(3, '0')}`;

function labelCounts(examples: number): { label: string; examples: number }[] {
  const counts = new Map<string, number>();
  for (let row = 0; row < examples; row++) {
    const label = labelOf(clusterOf(row));
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return [...counts].map(([label, count]) => ({ label, examples: count }));
}

/** A centre and, as long as it, noise. The vector is the same array at every call. */
function clusteredVectors(dimension: number) {
  const random = seededRandom(1);
  const vector = new Float32Array(dimension);
  // Three uniform numbers are near enough to a normal one.
  const spread = (): number => random() + random() + random() - 1.5;
  const centres = Array.from({ length: clusters }, () => Float32Array.from({ length: dimension }, spread));
  return (row: number): { readonly cluster: number; readonly vector: Float32Array } => {
    const cluster = clusterOf(row);
    const centre = centres[cluster];
    let squares = 0;
    for (let i = 0; i < dimension; i++) {
      const value = (centre?.[i] ?? 0) + spread();
      vector[i] = value;
      squares += value * value;
    }
    for (let i = 0; i < dimension; i++) vector[i] = (vector[i] ?? 0) / Math.sqrt(squares);
    return { cluster, vector };
  };
}
