import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Embeddings } from '../../src/domain/embeddings.js';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import {
  createHnswBuilder,
  createHnswSearcher,
  loadHnswModule,
  openGraph,
  type HnswGraph,
  type HnswModule,
  type RowGraph,
} from '../../src/neighbours/hnsw.js';
import type { Searcher } from '../../src/neighbours/searcher.js';
import { onCircle, randomUnitRows, unitRows } from './unit-vectors.js';

// hnswlib-node is optional: it cannot be compiled everywhere.
const module = await loadHnswModule();

describe.skipIf(module === undefined)('HNSW search', () => {
  const hnsw = module as HnswModule;
  let dir = '';
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'nearvote-hnsw-'));
  });
  afterAll(() => rm(dir, { recursive: true }));

  async function writeGraph(embeddings: Embeddings): Promise<string> {
    const { count, dimension, values } = embeddings;
    const options = { m: 16, efConstruction: 100, seed: 1 };
    const builder = createHnswBuilder({ module: hnsw, dimension, maxElements: count, ...options });
    for (let row = 0; row < count; row++)
      builder.add(values.subarray(row * dimension, (row + 1) * dimension));
    const file = join(dir, `${Math.random()}.hnsw`);
    await builder.write(file);
    return file;
  }

  async function searcherOf(embeddings: Embeddings, ef = 64): Promise<Searcher> {
    const { count: size, dimension } = embeddings;
    const file = await writeGraph(embeddings);
    const read = (): Promise<Embeddings> => Promise.resolve(embeddings);
    const graph = await openGraph({ module: hnsw, file, size, dimension, embeddings: read });
    const exact = (): Promise<Searcher> => createExactSearcher({ embeddings, threads: 1 });
    return createHnswSearcher({ ...graph, size, dimension, ef, exact });
  }

  it('finds nearly all that exact search finds, after a round trip through its file', async () => {
    const embeddings = randomUnitRows(2000, 24);
    const queries = randomUnitRows(100, 24, 5);
    const searcher = await searcherOf(embeddings, 128);
    const exact = await createExactSearcher({ embeddings, threads: 1 });
    const found = await searcher.search(queries, 10);
    const truth = await exact.search(queries, 10);
    let hits = 0;
    for (let q = 0; q < 100; q++) {
      const expected = new Set(truth.rows.subarray(q * 10, q * 10 + 10));
      hits += found.rows.subarray(q * 10, q * 10 + 10).filter((row) => expected.has(row)).length;
    }
    expect(hits).toBeGreaterThanOrEqual(990);
  });

  it('answers with similarities, nearest first', async () => {
    const searcher = await searcherOf(onCircle([0, 90, 10, 180, 45]));
    const found = await searcher.search(onCircle([2]), 5);
    expect([...found.rows]).toEqual([0, 2, 4, 1, 3]);
    for (const [i, angle] of [2, 8, 43, 88, 178].entries()) {
      expect(found.similarities[i]).toBeCloseTo(Math.cos((angle * Math.PI) / 180), 5);
    }
  });

  it('keeps equal similarities in row order', async () => {
    const searcher = await searcherOf(
      unitRows([
        [0, 1],
        [1, 0],
        [1, 0],
        [1, 0],
        [-1, 0],
      ]),
    );
    expect([...(await searcher.search(unitRows([[1, 0]]), 3)).rows]).toEqual([1, 2, 3]);
  });

  it('finds k of k even where the graph is all duplicates and k is far beyond ef', async () => {
    const duplicates = unitRows(Array.from({ length: 600 }, (_, i) => [1, i < 300 ? 0 : 1, 0]));
    const searcher = await searcherOf(duplicates, 10);
    const found = await searcher.search(unitRows([[1, 0, 0]]), 600);
    expect(new Set(found.rows).size).toBe(600);
    expect([...found.rows.subarray(0, 300)].every((row) => row < 300)).toBe(true);
    await searcher.close();
  });

  it('holds a vector once however often it repeats, and finds what lies beyond its repeats', async () => {
    const few = randomUnitRows(200, 8, 4);
    const many = { ...few, count: 2_200, values: new Float32Array(2_200 * 8) } as Embeddings;
    // Every tenth row is one of the few; the rest are all the first of them.
    for (let row = 0; row < 2_200; row++) {
      const from = row % 11 === 0 ? row / 11 : 0;
      many.values.set(few.values.subarray(from * 8, (from + 1) * 8), row * 8);
    }
    const file = await writeGraph(many);
    const embeddings = (): Promise<Embeddings> => Promise.resolve(many);
    const graph = await openGraph({ module: hnsw, file, size: 2_200, dimension: 8, embeddings });
    expect(graph.graph.getCurrentCount()).toBe(200);
    const exact = await createExactSearcher({ embeddings: many, threads: 1 });
    const searcher = createHnswSearcher({
      ...{ ...graph, size: 2_200, dimension: 8, ef: 64, exact: () => Promise.resolve(exact) },
    });
    const queries = randomUnitRows(50, 8, 5);
    const found = await searcher.search(queries, 20);
    expect([...found.rows]).toEqual([...(await exact.search(queries, 20)).rows]);
    await searcher.close();
  });

  it('answers from exact search when the graph finds fewer than k', async () => {
    const embeddings = onCircle([0, 90, 10]);
    // What a graph cut in two looks like from outside: the far part is out of reach.
    const graph: HnswGraph = {
      ...({} as Pick<HnswGraph, 'initIndex' | 'readIndex' | 'writeIndex' | 'addPoint'>),
      searchKnn: () => ({ neighbors: [0], distances: [0] }),
      getPoint: () => [],
      getCurrentCount: () => 3,
      setEf: () => undefined,
    };
    const exact = (): Promise<Searcher> => createExactSearcher({ embeddings, threads: 1 });
    const cut = createHnswSearcher({ graph, repeats: new Map(), size: 3, dimension: 2, ef: 10, exact });
    expect([...(await cut.search(onCircle([2, 80]), 3)).rows]).toEqual([0, 2, 1, 1, 2, 0]);
    await cut.close();
  });

  it('refuses a k beyond the index and embeddings of another dimension', async () => {
    const searcher = await searcherOf(onCircle([0, 90]));
    await expect(searcher.search(onCircle([1]), 3)).rejects.toMatchObject({ code: 'k_too_large' });
    await expect(searcher.search(randomUnitRows(1, 3), 1)).rejects.toMatchObject({
      code: 'encoder_mismatch',
    });
  });

  it('refuses a graph file that is missing, cut short or of another size', async () => {
    const open = (file: string, size: number): Promise<RowGraph> => {
      const embeddings = (): Promise<Embeddings> => Promise.resolve(onCircle([0, 90, 10, 20]));
      return openGraph({ module: hnsw, file, size, dimension: 2, embeddings });
    };
    await expect(open(join(dir, 'none.hnsw'), 1)).rejects.toMatchObject({ code: 'index_invalid' });
    const file = await writeGraph(onCircle([0, 90, 10]));
    await expect(open(file, 4)).rejects.toMatchObject({
      code: 'index_invalid',
      message: 'Expected vectors.hnsw to hold 4 vectors but it holds 3',
    });
    await truncate(file, (await stat(file)).size - 8);
    await expect(open(file, 3)).rejects.toMatchObject({ code: 'index_invalid' });
    await writeFile(file, '');
    await expect(open(file, 3)).rejects.toMatchObject({ code: 'index_invalid' });
  });
});
