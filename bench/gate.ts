/**
 * What the gate of the HNSW graph is asked with, on CIFAR-10: index recall@20 of the shipped index for its own rows, for
 * rows turned until they are as similar to themselves as their nearest neighbour, and for test images that it never saw:
 * `npx tsx bench/gate.ts shared/data/cifar10`.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { measureIndex } from '../src/build/measure-index.js';
import type { Embeddings } from '../src/domain/embeddings.js';
import { sampleRows } from '../src/domain/seeded-random.js';
import { openIndex } from '../src/examples/index-store.js';
import { readEmbeddingsFile } from '../src/neighbours/embeddings-file.js';
import { createExactSearcher } from '../src/neighbours/exact.js';
import { createHnswBuilder, createHnswSearcher, loadHnswModule } from '../src/neighbours/hnsw.js';
import { indexRecall, queriesOf, searchBeside, withoutOwn } from '../src/neighbours/recall.js';
import type { Searcher } from '../src/neighbours/searcher.js';
import { embedCifar } from './embed-cifar.js';

const [folder = 'shared/data/cifar10', root = 'index/cifar10'] = process.argv.slice(2);
const k = 20;
const sampled = 1_000;

const { dir, manifest, examples } = await openIndex(root);
const { dimension, seed } = manifest;
const count = examples.length;
const embeddings = await readEmbeddingsFile({ path: join(dir, 'embeddings.f32'), count, dimension });
const module = await loadHnswModule();
if (module === undefined) throw new Error('Expected hnswlib-node');
const exact = await createExactSearcher({ embeddings, threads: availableParallelism() });
const heldOut = (await embedCifar(folder, 'test', 'models/cifar10-wide-int8')).embeddings;

async function recallOf(searcher: Searcher, queries: Embeddings): Promise<number> {
  return indexRecall({ found: await searcher.search(queries, k), exact: await exact.search(queries, k) })
    .value;
}

async function figuresOf(parameters: { m: number; efConstruction: number; ef: number }) {
  const builder = createHnswBuilder({
    module: module as NonNullable<typeof module>,
    dimension,
    maxElements: count,
    seed,
    ...parameters,
  });
  for (let row = 0; row < count; row++) {
    builder.add(embeddings.values.subarray(row * dimension, (row + 1) * dimension));
  }
  const { ef } = parameters;
  const size = count;
  const searcher = createHnswSearcher({
    ...builder.finish(),
    size,
    dimension,
    ef,
    exact: () => Promise.resolve(exact),
  });
  const rows = sampleRows({ size, count: sampled, seed });
  const own = queriesOf(embeddings, rows);
  const [found, truth] = [await searchBeside(searcher, own, k), await searchBeside(exact, own, k)];
  const { recall } = await measureIndex({
    ...{ embeddings, labels: examples.map(({ label }) => label), searcher, exact, seed },
    progress: { start: () => undefined, advance: () => undefined, finish: () => undefined },
  });
  return {
    ...parameters,
    'own rows': indexRecall({ found: withoutOwn(found, rows), exact: withoutOwn(truth, rows) }).value.toFixed(
      4,
    ),
    'turned rows': (recall?.value ?? NaN).toFixed(4),
    'test images': (await recallOf(searcher, heldOut)).toFixed(4),
  };
}

const shipped = { m: manifest.m, efConstruction: manifest.efConstruction, ef: manifest.ef };
const weaker = [
  { m: 8, efConstruction: 100, ef: 40 },
  { m: 6, efConstruction: 50, ef: 40 },
  { m: 4, efConstruction: 40, ef: 40 },
];
console.log(`index recall@${k}: ${count} examples, ${sampled} of them asked, ${heldOut.count} test images`);
const table = [];
for (const parameters of [shipped, ...weaker]) table.push(await figuresOf(parameters));
console.table(table);
await exact.close();
