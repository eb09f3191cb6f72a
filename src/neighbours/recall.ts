import type { Embeddings } from '../domain/embeddings.js';
import type { NearestRows, Searcher } from './searcher.js';

/** SupCon makes near-duplicates: any neighbour this near to the exact k-th similarity is as good. */
const tieTolerance = 1e-5;

export interface IndexRecall {
  readonly k: number;
  readonly queries: number;
  /** Share of the k nearest found, 0 to 1. */
  readonly value: number;
}

export interface RecallOptions {
  /** Rows of the index, as queries. */
  readonly queryRows: Int32Array;
  /** What the graph found for each of them, `[queries, k + 1]`: the query itself may be among them. */
  readonly found: NearestRows;
  /** What exact search found, of the same shape. */
  readonly exact: NearestRows;
}

/**
 * Index recall@k: of a query's k nearest by exact search, itself excluded, the share that the graph found; a hit is
 * any neighbour within 1e-5 of the exact k-th similarity. An index of one has no neighbours to miss: 1.
 */
export function indexRecall({ queryRows, found, exact }: RecallOptions): IndexRecall {
  const k = exact.k - 1;
  const queries = queryRows.length;
  if (k <= 0 || queries === 0) return { k: Math.max(k, 0), queries, value: 1 };
  let hits = 0;
  for (const [query, own] of queryRows.entries()) {
    const kth = neighboursOf(exact, query, own).at(-1)?.similarity ?? NaN;
    for (const { similarity } of neighboursOf(found, query, own)) {
      if (similarity >= kth - tieTolerance) hits++;
    }
  }
  return { k, queries, value: hits / (k * queries) };
}

/** The nearest k of the k + 1 that a search found for a row of the index, without the row itself. */
export function neighboursOf(
  nearest: NearestRows,
  query: number,
  own: number,
): { row: number; similarity: number }[] {
  const width = nearest.k;
  const others: { row: number; similarity: number }[] = [];
  for (let i = query * width; i < (query + 1) * width && others.length < width - 1; i++) {
    const row = nearest.rows[i] ?? -1;
    if (row !== own) others.push({ row, similarity: nearest.similarities[i] ?? NaN });
  }
  return others;
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
