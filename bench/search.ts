/* Search alone: HNSW, exact search as a matrix product, and plain loops, ms a query.  npx tsx bench/search.ts */
import { asEmbeddings, dot, type Embeddings } from '../src/domain/embeddings.js';
import { createExactSearcher } from '../src/neighbours/exact.js';
import { markdownTable } from '../src/domain/markdown-table.js';

const dimension = 256;
const k = 20;

/** Seeded unit vectors, `[count, dimension]`. */
function randomEmbeddings(count: number, seed: number): Embeddings {
  let state = seed;
  const next = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32 - 0.5;
  const values = Float32Array.from({ length: count * dimension }, next);
  for (let row = 0; row < count; row++) {
    const norm = Math.sqrt(dot(values, row * dimension, values, row * dimension, dimension));
    for (let i = 0; i < dimension; i++)
      values[row * dimension + i] = (values[row * dimension + i] ?? 0) / norm;
  }
  return asEmbeddings(values, dimension);
}

function first(embeddings: Embeddings, count: number): Embeddings {
  return asEmbeddings(embeddings.values.subarray(0, count * dimension), dimension);
}

/** The loops that a first version would have: every dot product, then a sort. */
function loopSearch(examples: Embeddings, queries: Embeddings): void {
  for (let query = 0; query < queries.count; query++) {
    const similarities = Array.from({ length: examples.count }, (_, row) => ({
      row,
      similarity: dot(queries.values, query * dimension, examples.values, row * dimension, dimension),
    }));
    similarities.sort((a, b) => b.similarity - a.similarity).splice(k);
  }
}

async function msPerQuery(queries: number, run: () => Promise<unknown>): Promise<number> {
  await run();
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const started = performance.now();
    await run();
    times.push((performance.now() - started) / queries);
  }
  return times.toSorted((a, b) => a - b)[2] ?? NaN;
}

const rows: (string | number)[][] = [];
for (const size of [10_000, 50_000]) {
  const embeddings = randomEmbeddings(size, 1);
  const exact = await createExactSearcher({ embeddings, threads: 2 });
  for (const count of [1, 32, 256]) {
    const queries = first(randomEmbeddings(256, 2), count);
    const product = await msPerQuery(count, () => exact.search(queries, k));
    const few = first(queries, Math.min(count, 4));
    const loops = await msPerQuery(few.count, () => Promise.resolve(loopSearch(embeddings, few)));
    rows.push([size, count, product.toFixed(3), loops.toFixed(1), (loops / product).toFixed(0)]);
  }
  await exact.close();
}
console.log(`ms a query, ${dimension} dimensions, k = ${k}, 2 threads, median of 5`);
console.log(markdownTable(['examples', 'queries at once', 'matrix product', 'plain loops', 'ratio'], rows));
