/* Graphs of 100,000 and 1,000,000 unit vectors of 256 values, clustered as SupCon's are: build, memory, load, search, recall.
   npx tsx bench/scale.ts [--ef 64] [SIZE...]   Graphs lie in .cache/scale and are built once; the search runs by turns on all of them. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { asEmbeddings } from '../src/domain/embeddings.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { createExactSearcher } from '../src/neighbours/exact.js';
import { createHnswBuilder, createHnswSearcher, loadHnswModule, openGraph } from '../src/neighbours/hnsw.js';
import { indexRecall } from '../src/neighbours/recall.js';
import type { NearestRows } from '../src/neighbours/searcher.js';
import { memoryOfTree } from './process-memory.js';
import { supConVectors } from './supcon-vectors.js';

const dimension = 256;
const labels = 100;
const k = 20;
const queryCount = 1_000;
const rounds = 5;
// As `nearvote build` has them unless told.
const parameters = { m: 16, efConstruction: 200, seed: 1 };
const rowsATurn = 10_000;

interface Built {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakRssBytes: number;
}

const folder = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { ef: { type: 'string', default: '64' }, build: { type: 'string' } },
});
const ef = Number(flags.ef);
const place = (size: number): string => folder(`../.cache/scale/${size}x${dimension}`);
const draw = await supConVectors({ index: folder('../index/cifar10'), labels, dimension });
const module = await loadHnswModule();
if (module === undefined) throw new Error('hnswlib-node is not built here');

/** In a process of its own, whose memory is that of the build. */
async function build(size: number): Promise<void> {
  if (module === undefined) return;
  await mkdir(place(size), { recursive: true });
  const builder = createHnswBuilder({ module, dimension, maxElements: size, ...parameters });
  let [seconds, cpuSeconds] = [0, 0];
  for (let from = 0; from < size; from += rowsATurn) {
    const { count, values } = draw(from, Math.min(rowsATurn, size - from));
    const [started, cpu] = [performance.now(), process.cpuUsage()];
    for (let row = 0; row < count; row++) {
      builder.add(values.subarray(row * dimension, (row + 1) * dimension));
    }
    seconds += (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    cpuSeconds += (user + system) / 1e6;
    process.stderr.write(`${from + count} of ${size} rows after ${seconds.toFixed(0)} s\n`);
  }
  const peakRssBytes = memoryOfTree(process.pid)[0]?.peakRssBytes ?? NaN;
  await builder.write(`${place(size)}/new.hnsw`);
  await writeFile(`${place(size)}/built.json`, JSON.stringify({ seconds, cpuSeconds, peakRssBytes }));
  await rename(`${place(size)}/new.hnsw`, `${place(size)}/vectors.hnsw`);
}

async function measure(size: number) {
  if (module === undefined) throw new Error('hnswlib-node is not built here');
  if (!existsSync(`${place(size)}/vectors.hnsw`)) {
    const [code] = (await once(fork(fileURLToPath(import.meta.url), ['--build', `${size}`]), 'exit')) as [
      number,
    ];
    if (code !== 0) throw new Error(`the build of ${size} ended with ${code}`);
  }
  const built = JSON.parse(await readFile(`${place(size)}/built.json`, 'utf8')) as Built;
  const file = `${place(size)}/vectors.hnsw`;
  const before = process.memoryUsage().rss;
  const started = performance.now();
  const embeddings = () => Promise.resolve(draw(0, size));
  const graph = await openGraph({ module, file, size, dimension, embeddings });
  const loadSeconds = (performance.now() - started) / 1000;
  const rss = process.memoryUsage().rss - before;
  const searcher = createHnswSearcher({
    ...{ ...graph, size, dimension, ef },
    exact: () => Promise.reject(new Error('the graph does not reach what it holds')),
  });
  // What lies after the rows of the index, and so in none.
  const queries = draw(size, queryCount);
  const one = (query: number) =>
    asEmbeddings(queries.values.subarray(query * dimension, (query + 1) * dimension), dimension);

  const found = await searcher.search(queries, k);
  const exact = await createExactSearcher({ embeddings: draw(0, size), threads: 2 });
  const truth = await exact.search(queries, k);
  await exact.close();
  const row = (nearest: NearestRows, query: number): NearestRows => ({
    count: 1,
    k,
    rows: nearest.rows.subarray(query * k, (query + 1) * k),
    similarities: nearest.similarities.subarray(query * k, (query + 1) * k),
  });
  const recalls = Array.from(
    { length: queryCount },
    (_, query) => indexRecall({ found: row(found, query), exact: row(truth, query) }).value,
  );
  const latencies = async (): Promise<number[]> => {
    const times: number[] = [];
    for (let query = 0; query < queryCount; query++) {
      const single = one(query);
      const started = performance.now();
      await searcher.search(single, k);
      times.push(performance.now() - started);
    }
    return times.sort((a, b) => a - b);
  };
  const bytes = (await stat(file)).size;
  return { size, built, loadSeconds, rss, bytes, recalls, latencies };
}

if (flags.build !== undefined) {
  await build(Number(flags.build));
  process.exit(0);
}
const sizes = positionals.length === 0 ? [100_000, 1_000_000] : positionals.map(Number);
const indexes = [];
for (const size of sizes) indexes.push(await measure(size));

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
const p50s = indexes.map((): number[] => []);
const p99s = indexes.map((): number[] => []);
for (let round = 0; round < rounds; round++) {
  for (const [i, { latencies }] of indexes.entries()) {
    const times = await latencies();
    p50s[i]?.push(times[queryCount >> 1] ?? NaN);
    p99s[i]?.push(times[Math.floor(queryCount * 0.99)] ?? NaN);
  }
}
const mean = (values: readonly number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length;
console.log(
  `${dimension} values, ${labels} labels, m ${parameters.m}, efConstruction ${parameters.efConstruction}, ef ${ef}; ` +
    `${queryCount} queries of none of the rows, k = ${k}; medians of ${rounds} rounds in turns`,
);
console.log(
  markdownTable(
    ['', ...sizes.map((size) => size.toLocaleString('en'))],
    [
      [
        'build, rows/s on one core',
        ...indexes.map(({ size, built }) => (size / built.cpuSeconds).toFixed(0)),
      ],
      ['build, wall', ...indexes.map(({ built }) => `${built.seconds.toFixed(0)} s`)],
      ['build, peak RSS', ...indexes.map(({ built }) => `${(built.peakRssBytes / 1e6).toFixed(0)} MB`)],
      ['graph on disk', ...indexes.map(({ bytes }) => `${(bytes / 1e6).toFixed(0)} MB`)],
      ['load', ...indexes.map(({ loadSeconds }) => `${loadSeconds.toFixed(2)} s`)],
      ['RSS of the graph', ...indexes.map(({ rss }) => `${(rss / 1e6).toFixed(0)} MB`)],
      ['index recall@20, mean', ...indexes.map(({ recalls }) => mean(recalls).toFixed(4))],
      ['index recall@20, least', ...indexes.map(({ recalls }) => Math.min(...recalls).toFixed(2))],
      [
        'queries with a recall below one half',
        ...indexes.map(({ recalls }) => recalls.filter((one) => one < 0.5).length),
      ],
      ['search, p50', ...p50s.map((values) => `${median(values).toFixed(3)} ms`)],
      ['search, p99', ...p99s.map((values) => `${median(values).toFixed(3)} ms`)],
    ],
  ),
);
const growth = (p50s[0] ?? []).map((first, i) => (p50s.at(-1)?.[i] ?? NaN) / first);
console.log(`\np50 of the last against the first: ${median(growth).toFixed(2)}`);
