/* Accuracy against the size of the index, CIFAR-10.
   npm run build && npx tsx bench/index-size.ts [CIFAR_FOLDER] [ENCODER_FOLDER] */
import { fileURLToPath } from 'node:url';
import { createProgress } from '../src/cli/output.js';
import { asEmbeddings, type Embeddings } from '../src/domain/embeddings.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { readEncoderManifest } from '../src/encoder/load.js';
import { withEncoder, type EmbeddedDataset } from '../src/embed/embed-dataset.js';
import { measureAccuracy } from '../src/evaluate/measure-accuracy.js';
import { openDataset } from '../src/image/dataset/open-dataset.js';
import { limitPerClass } from '../src/image/dataset/sample.js';
import { createExactSearcher } from '../src/neighbours/exact.js';
import { defaultVote } from '../src/vote/rules.js';

const shipped = fileURLToPath(new URL('../models/cifar10-wide-int8', import.meta.url));
const [, , folder = '../shared/data/cifar10', encoderDir = shipped] = process.argv;
const seeds = [1, 2, 3, 4, 5];
const sizes = [50, 100, 200, 500, 1_000, 2_000];

const encoder = await readEncoderManifest(encoderDir);

function embed(split: 'train' | 'test'): Promise<EmbeddedDataset> {
  const machine = { workers: 2, threads: 1, maxBatch: 32, maxPixels: 1e6 };
  return withEncoder({ encoder, encoderDir, ...machine, progress: createProgress() }, async (running) =>
    running.embed(await openDataset(folder, { split, maxFileBytes: 1e7 })),
  );
}

const test = await embed('test');
const train = await embed('train');
const rowOf = new Map(train.images.map(({ id }, row) => [id, row]));

/** Accuracy at k = 1 and at the served k, exact search over these rows of the training images. */
async function accuracies(rows: readonly number[]): Promise<{ first: number; served: number }> {
  const { dimension, values } = train.embeddings;
  const chosen = new Float32Array(rows.length * dimension);
  for (const [i, row] of rows.entries()) {
    chosen.set(values.subarray(row * dimension, (row + 1) * dimension), i * dimension);
  }
  const embeddings: Embeddings = asEmbeddings(chosen, dimension);
  const exact = await createExactSearcher({ embeddings, threads: 2 });
  const { accuracy, served } = await measureAccuracy({
    queries: test.embeddings,
    truths: test.images.map(({ label }) => label),
    examples: rows.map((row) => {
      const image = train.images[row];
      if (image === undefined) throw new Error(`no image ${row}`);
      return { id: image.id, label: image.label, source: image.source };
    }),
    hnsw: undefined,
    exact,
    vote: defaultVote,
    k: defaultVote.k,
    ks: [1],
  });
  await exact.close();
  return { first: 100 * (accuracy[0]?.exact ?? NaN), served: 100 * served.accuracy };
}

/** Of embeddings.f32 and examples.jsonl. */
function megabytes(examples: number): string {
  return ((examples * (train.embeddings.dimension * 4 + 82)) / 1e6).toFixed(1);
}

const span = (values: readonly number[]): string =>
  `${(values.reduce((sum, value) => sum + value, 0) / values.length).toFixed(2)} (${Math.min(...values).toFixed(2)} to ${Math.max(...values).toFixed(2)})`;

const table: string[][] = [];
for (const maxPerClass of sizes) {
  const found = [];
  for (const seed of seeds) {
    const all = await openDataset(folder, { split: 'train' });
    const limited = await limitPerClass(all, { maxPerClass, seed });
    const rows: number[] = [];
    for await (const { id } of limited.images()) rows.push(rowOf.get(id) ?? -1);
    found.push(await accuracies(rows));
  }
  table.push([
    String(maxPerClass),
    megabytes(10 * maxPerClass),
    span(found.map(({ first }) => first)),
    span(found.map(({ served }) => served)),
  ]);
}
const all = await accuracies([...train.images.keys()]);
table.push(['5000 (all)', megabytes(train.images.length), all.first.toFixed(2), all.served.toFixed(2)]);
console.log(`CIFAR-10 test accuracy in %, exact search, mean (least to most) over seeds ${seeds.join(', ')}`);
console.log(
  markdownTable(
    ['a class', 'MB of embeddings.f32 and examples.jsonl', 'k = 1', `k = ${defaultVote.k}`],
    table,
  ),
);
