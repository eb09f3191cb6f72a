import { asEmbeddings, tieTolerance, type Embeddings } from '../domain/embeddings.js';
import { seededRandom, type Random } from '../domain/seeded-random.js';
import type { NearestRows, Searcher } from './searcher.js';

export interface IndexRecall {
  readonly k: number;
  readonly queries: number;
  /** Share of the k nearest found, 0 to 1. */
  readonly value: number;
}

export interface RecallOptions {
  /** What the graph found, `[queries, k]`. */
  readonly found: NearestRows;
  /** What exact search found for the same queries, of the same shape. */
  readonly exact: NearestRows;
}

/**
 * Index recall@k: of a query's k nearest by exact search, the share that the graph found; a hit is any neighbour within
 * 1e-5 of the exact k-th similarity. Where there are no neighbours to miss it is 1.
 */
export function indexRecall({ found, exact }: RecallOptions): IndexRecall {
  const { k, count: queries } = exact;
  if (k === 0 || queries === 0) return { k, queries, value: 1 };
  let hits = 0;
  for (let query = 0; query < queries; query++) {
    const kth = exact.similarities[(query + 1) * k - 1] ?? NaN;
    for (const similarity of found.similarities.subarray(query * k, (query + 1) * k)) {
      if (similarity >= kth - tieTolerance) hits++;
    }
  }
  return { k, queries, value: hits / (k * queries) };
}

/** The nearest k of the k + 1 that a search found for each of some rows of the index, without the row itself. */
export function withoutOwn(nearest: NearestRows, queryRows: Int32Array): NearestRows {
  const width = nearest.k;
  const k = Math.max(width - 1, 0);
  const rows = new Int32Array(queryRows.length * k);
  const similarities = new Float32Array(rows.length);
  for (const [query, own] of queryRows.entries()) {
    let out = query * k;
    for (let i = query * width; i < (query + 1) * width && out < (query + 1) * k; i++) {
      const row = nearest.rows[i] ?? -1;
      if (row === own) continue;
      rows[out] = row;
      similarities[out++] = nearest.similarities[i] ?? NaN;
    }
  }
  return { count: queryRows.length, k, rows, similarities };
}

export interface PerturbOptions {
  /** Rows of the index, `[n, dimension]`. */
  readonly queries: Embeddings;
  /** Of each row, other than itself, `[n, k]`. */
  readonly neighbours: NearestRows;
  readonly seed: number;
}

/**
 * Queries that an index does not hold: each row turned in a random direction until it is as similar to itself as its
 * nearest neighbour was. A graph finds its own rows more readily than anything else: each is its own entry, and links
 * to what is asked for.
 */
export function perturb({ queries, neighbours, seed }: PerturbOptions): Embeddings {
  const { count, dimension } = queries;
  const random = seededRandom(seed);
  const values = new Float32Array(queries.values.length);
  for (let row = 0; row < count; row++) {
    const own = queries.values.subarray(row * dimension, (row + 1) * dimension);
    const similarity = Math.min(1, neighbours.similarities[row * neighbours.k] ?? 1);
    const drawn = Float64Array.from({ length: dimension }, () => gaussian(random));
    const along = drawn.reduce((sum, value, i) => sum + value * (own[i] ?? NaN), 0);
    const across = drawn.map((value, i) => value - along * (own[i] ?? NaN));
    const turn = Math.sqrt(1 - similarity ** 2) / (Math.hypot(...across) || 1);
    values.set(
      across.map((value, i) => similarity * (own[i] ?? NaN) + turn * value),
      row * dimension,
    );
  }
  return asEmbeddings(values, dimension);
}

/** Box and Muller, 1958. */
function gaussian(random: Random): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/** The rows of an index as queries, `[rows.length, dimension]`. */
export function queriesOf(embeddings: Embeddings, rows: Int32Array): Embeddings {
  const { dimension } = embeddings;
  const values = new Float32Array(rows.length * dimension);
  for (const [i, row] of rows.entries()) {
    values.set(embeddings.values.subarray(row * dimension, (row + 1) * dimension), i * dimension);
  }
  return { ...embeddings, count: rows.length, values };
}

/** Finds `k + 1` rows for each of the queries, clamped to the index: k without the query itself. */
export function searchBeside(searcher: Searcher, queries: Embeddings, k: number): Promise<NearestRows> {
  return searcher.search(queries, Math.min(k + 1, searcher.size));
}
