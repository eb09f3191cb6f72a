import type { Embeddings } from '../domain/embeddings.js';
import type { HnswGraph } from './hnsw-module.js';
import { checkK, checkQueries, type NearestRows, type Searcher } from './searcher.js';

export interface HnswSearcherOptions {
  readonly graph: HnswGraph;
  readonly size: number;
  readonly dimension: number;
  /** Breadth of the search; a larger k raises it. */
  readonly ef: number;
  /** Answers the queries for which the graph finds fewer than k even at its broadest; made when first needed. */
  readonly exact: () => Promise<Searcher>;
}

/**
 * Search through an HNSW graph (Malkov & Yashunin 2016, arXiv:1603.09320) of inner products. Its distance is
 * 1 - similarity; that word ends here.
 */
export function createHnswSearcher(options: HnswSearcherOptions): Searcher {
  const { graph, size, dimension, exact } = options;
  let exactSearcher: Promise<Searcher> | undefined;
  let ef = 0;

  function setEf(wanted: number): void {
    if (wanted === ef) return;
    graph.setEf(wanted);
    ef = wanted;
  }

  /** Nearest first; undefined when the graph does not reach k rows: near-duplicates can cut it in two. */
  function searchOne(query: number[], k: number): { row: number; similarity: number }[] | undefined {
    for (let breadth = Math.max(options.ef, k); ; breadth *= 4) {
      setEf(breadth);
      const { neighbors, distances } = graph.searchKnn(query, k);
      if (neighbors.length === k) {
        return neighbors
          .map((row, i) => ({ row, similarity: 1 - (distances[i] ?? NaN) }))
          .sort((a, b) => b.similarity - a.similarity || a.row - b.row);
      }
      if (breadth >= size) return undefined;
    }
  }

  return {
    kind: 'hnsw',
    size,
    dimension,
    search: async (queries, k): Promise<NearestRows> => {
      checkK(k, size);
      checkQueries(queries, dimension);
      const { count, values } = queries;
      const rows = new Int32Array(count * k);
      const similarities = new Float32Array(count * k);
      for (let query = 0; query < count && k > 0; query++) {
        const found = searchOne(Array.from(rowOf(values, query, dimension)), k);
        if (found === undefined) {
          exactSearcher ??= exact();
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
