import { createHash } from 'node:crypto';
import type { Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { checkK, checkQueries, type NearestRows, type Searcher } from './searcher.js';

/* What we use of hnswlib-node, declared here because an installation may lack it: it ships source only. */

export interface HnswGraph {
  initIndex(options: { maxElements: number; m: number; efConstruction: number; randomSeed: number }): void;
  readIndex(file: string): Promise<boolean>;
  writeIndex(file: string): Promise<boolean>;
  /** Adding and searching must not run at once. */
  addPoint(point: number[], row: number): void;
  /** May find fewer than k. */
  searchKnn(point: number[], k: number): { readonly neighbors: number[]; readonly distances: number[] };
  /** @throws where it holds no such row */
  getPoint(row: number): number[];
  getCurrentCount(): number;
  setEf(ef: number): void;
}

export interface HnswModule {
  readonly HierarchicalNSW: new (space: 'ip', dimension: number) => HnswGraph;
}

/** Loads hnswlib-node; undefined where it is not installed, was not built, or was built for another platform. */
export async function loadHnswModule(): Promise<HnswModule | undefined> {
  // A name the compiler does not look up: types come from above, so that it compiles without the package.
  const specifier: string = 'hnswlib-node';
  try {
    const { default: module } = (await import(specifier)) as { default: HnswModule };
    return module;
  } catch {
    return undefined;
  }
}

/**
 * Rows that are another's very values, by the first row that has them. A graph holds each vector once: hundreds of equal
 * ones fill each other's links, and what lies beyond them cannot be reached.
 */
type Repeats = ReadonlyMap<number, readonly number[]>;

/** Tells, row by row, which row first had these values: the row itself where it is new. */
function createRepeatFinder(): { firstOf(embedding: Float32Array): number } {
  const firsts = new Map<string, number>();
  let rows = 0;
  return {
    firstOf: (embedding) => {
      const row = rows++;
      const bytes = Buffer.from(embedding.buffer, embedding.byteOffset, embedding.byteLength);
      const key = createHash('sha256').update(bytes).digest('binary');
      const first = firsts.get(key);
      if (first === undefined) firsts.set(key, row);
      return first ?? row;
    },
  };
}

/** The repeats among embeddings. */
function findRepeats({ count, dimension, values }: Embeddings): Repeats {
  const finder = createRepeatFinder();
  const repeats = new Map<number, number[]>();
  for (let row = 0; row < count; row++)
    noteRepeat(repeats, finder.firstOf(rowOf(values, row, dimension)), row);
  return repeats;
}

function noteRepeat(repeats: Map<number, number[]>, first: number, row: number): void {
  if (first === row) return;
  const others = repeats.get(first);
  if (others === undefined) repeats.set(first, [row]);
  else others.push(row);
}

/** A graph and the rows that it stands for beyond its own. */
export interface RowGraph {
  readonly graph: HnswGraph;
  readonly repeats: Repeats;
}

export interface HnswParameters {
  /** Links of a node on each level; the ground level has twice as many. */
  readonly m: number;
  readonly efConstruction: number;
  readonly seed: number;
}

export interface HnswBuilder {
  /** Adds the next row, of unit length. */
  add(embedding: Float32Array): void;
  /** What was added, in memory. Nothing may be added after. */
  finish(): RowGraph;
  /**
   * Writes the graph, lets go of it and reads the file back: hnswlib does not notice a full disk, and searching what
   * was read proves what was written.
   * @throws NearvoteError `output_unwritable` when it cannot be written, or does not read back whole
   */
  write(file: string): Promise<RowGraph>;
}

export interface HnswBuilderOptions extends HnswParameters {
  readonly module: HnswModule;
  readonly dimension: number;
  readonly maxElements: number;
}

/** Builds a graph row by row, each vector once. */
export function createHnswBuilder(options: HnswBuilderOptions): HnswBuilder {
  const { module, dimension, maxElements, m, efConstruction, seed } = options;
  const graph = new module.HierarchicalNSW('ip', dimension);
  graph.initIndex({ maxElements: Math.max(maxElements, 1), m, efConstruction, randomSeed: seed });
  const finder = createRepeatFinder();
  const repeats = new Map<number, number[]>();
  let rows = 0;
  let vectors = 0;
  return {
    add: (embedding) => {
      const row = rows++;
      const first = finder.firstOf(embedding);
      noteRepeat(repeats, first, row);
      if (first !== row) return;
      graph.addPoint(Array.from(embedding), row);
      vectors++;
    },
    finish: () => ({ graph, repeats }),
    write: async (file) => {
      await graph.writeIndex(file).catch((cause: unknown) => {
        throw unwritten(file, cause);
      });
      // Frees it now and not when the collector, which does not see native memory, comes by. Reading into it would do
      // so too, but leaves a dangling pointer when the read fails.
      graph.initIndex({ maxElements: 1, m, efConstruction, randomSeed: seed });
      try {
        const read = await readGraph({ module, file, dimension });
        checkVectors(read, vectors);
        return { graph: read, repeats };
      } catch (cause) {
        throw unwritten(file, cause);
      }
    },
  };
}

function unwritten(file: string, cause: unknown): NearvoteError {
  return new NearvoteError(
    'output_unwritable',
    `Expected to write ${file} but what was written is not whole: is the disk full?`,
    { cause },
  );
}

export interface OpenGraphOptions {
  readonly module: HnswModule;
  readonly file: string;
  readonly size: number;
  readonly dimension: number;
  /** Read only when the graph holds fewer vectors than the index has rows. */
  readonly embeddings: () => Promise<Embeddings>;
}

/**
 * Reads a graph from disk.
 * @throws NearvoteError `index_invalid` when it cannot be read or does not stand for `size` rows
 */
export async function openGraph(options: OpenGraphOptions): Promise<RowGraph> {
  const { size, embeddings } = options;
  const graph = await readGraph(options);
  const vectors = graph.getCurrentCount();
  const repeats: Repeats = vectors < size ? findRepeats(await embeddings()) : new Map<number, number[]>();
  const repeated = [...repeats.values()].reduce((sum, rows) => sum + rows.length, 0);
  checkVectors(graph, size - repeated);
  return { graph, repeats };
}

/** Whether a graph holds, under each row's number, the very vector of that row. */
export function holdsRows({ graph, repeats }: RowGraph, { count, dimension, values }: Embeddings): boolean {
  const repeated = new Set([...repeats.values()].flat());
  try {
    for (let row = 0; row < count; row++) {
      if (repeated.has(row)) continue;
      const point = graph.getPoint(row);
      const at = row * dimension;
      for (let i = 0; i < dimension; i++) if (point[i] !== values[at + i]) return false;
    }
    return true;
  } catch {
    return false;
  }
}

function checkVectors(graph: HnswGraph, expected: number): void {
  const vectors = graph.getCurrentCount();
  if (vectors === expected) return;
  throw new NearvoteError(
    'index_invalid',
    `Expected vectors.hnsw to hold ${expected} vectors but it holds ${vectors}`,
  );
}

async function readGraph({
  module,
  file,
  dimension,
}: Pick<OpenGraphOptions, 'module' | 'file' | 'dimension'>): Promise<HnswGraph> {
  const graph = new module.HierarchicalNSW('ip', dimension);
  try {
    await graph.readIndex(file);
  } catch (cause) {
    throw new NearvoteError(
      'index_invalid',
      'Expected vectors.hnsw to be an HNSW graph but it cannot be read',
      { cause },
    );
  }
  return graph;
}

export interface HnswSearcherOptions extends RowGraph {
  readonly size: number;
  readonly dimension: number;
  /** Breadth of the search; twice k where that is more. */
  readonly ef: number;
  /** Answers the queries for which the graph finds fewer than k even at its broadest; made when first needed. */
  readonly exact: () => Promise<Searcher>;
}

/**
 * Search through an HNSW graph (Malkov & Yashunin 2016, arXiv:1603.09320) of inner products. Its distance is
 * 1 - similarity; that word ends here.
 */
export function createHnswSearcher(options: HnswSearcherOptions): Searcher {
  const { graph, repeats, size, dimension, exact } = options;
  const vectors = graph.getCurrentCount();
  let exactSearcher: Promise<Searcher> | undefined;
  let firstOf: ReadonlyMap<number, number> | undefined;
  let ef = 0;

  function setEf(wanted: number): void {
    if (wanted === ef) return;
    graph.setEf(wanted);
    ef = wanted;
  }

  /** Nearest first; undefined when the graph does not reach k vectors: near-duplicates can cut it in two. */
  function searchOne(query: number[], k: number): { row: number; similarity: number }[] | undefined {
    const wanted = Math.min(k, vectors);
    for (let breadth = Math.max(options.ef, 2 * k); ; breadth *= 4) {
      setEf(breadth);
      const { neighbors, distances } = graph.searchKnn(query, wanted);
      if (neighbors.length === wanted) {
        return neighbors
          .flatMap((row, i) => {
            const similarity = 1 - (distances[i] ?? NaN);
            return [row, ...(repeats.get(row) ?? [])].map((one) => ({ row: one, similarity }));
          })
          .sort((a, b) => b.similarity - a.similarity || a.row - b.row)
          .slice(0, k);
      }
      if (breadth >= size) return undefined;
    }
  }

  return {
    kind: 'hnsw',
    size,
    dimension,
    embeddingOf: (row) => {
      firstOf ??= new Map([...repeats].flatMap(([first, rows]) => rows.map((one) => [one, first])));
      return graph.getPoint(firstOf.get(row) ?? row);
    },
    search: async (queries, k): Promise<NearestRows> => {
      checkK(k, size);
      checkQueries(queries, dimension);
      const { count, values } = queries;
      const rows = new Int32Array(count * k);
      const similarities = new Float32Array(count * k);
      for (let query = 0; query < count && k > 0; query++) {
        const found = searchOne(Array.from(rowOf(values, query, dimension)), k);
        if (found === undefined) {
          exactSearcher ??= exact().catch((error: unknown) => {
            // The next query tries again: what could not be read may be there by then.
            exactSearcher = undefined;
            throw error;
          });
          const one: Embeddings = { ...queries, count: 1, values: rowOf(values, query, dimension) };
          const nearest = await (await exactSearcher).search(one, k);
          rows.set(nearest.rows, query * k);
          similarities.set(nearest.similarities, query * k);
          continue;
        }
        for (const [i, { row, similarity }] of found.entries()) {
          rows[query * k + i] = row;
          similarities[query * k + i] = similarity;
        }
      }
      return { count, k, rows, similarities };
    },
    close: async () => {
      await (await exactSearcher)?.close();
    },
  };
}

function rowOf(values: Float32Array, row: number, dimension: number): Float32Array {
  return values.subarray(row * dimension, (row + 1) * dimension);
}
