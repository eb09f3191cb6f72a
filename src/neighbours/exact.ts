import type { Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { openSession, Tensor } from '../onnx/session.js';
import { exactSearchModel } from './exact-model.js';
import { mergeNearest, type Ranking } from './merge-nearest.js';
import { checkK, checkQueries, type NearestRows, type Searcher } from './searcher.js';

export interface ExactSearcherOptions {
  /** `[size, dimension]`; kept, not copied. */
  readonly embeddings: Embeddings;
  readonly threads: number;
  /** Rows compared in one run: with `chunkQueries` it bounds the memory of a search. */
  readonly chunkRows?: number | undefined;
  readonly chunkQueries?: number | undefined;
}

// 16,384 x 256 similarities are 16 MB, twice: before and after the transpose. Larger is not faster.
const defaultChunkRows = 16_384;
const defaultChunkQueries = 256;

/** Exact search as a matrix product: every query against every row. Decision 002 has the figures. */
export async function createExactSearcher(options: ExactSearcherOptions): Promise<Searcher> {
  const { embeddings, threads, chunkRows = defaultChunkRows, chunkQueries = defaultChunkQueries } = options;
  const { count: size, dimension } = embeddings;
  const session = await openSession({ model: exactSearchModel(dimension), threads });

  async function searchChunk(queries: Tensor, from: number, k: number): Promise<Ranking> {
    const rows = Math.min(chunkRows, size - from);
    const values = embeddings.values.subarray(from * dimension, (from + rows) * dimension);
    const chunkK = Math.min(k, rows);
    const found = await session.run({
      examples: new Tensor('float32', values, [rows, dimension]),
      queries,
      k: new Tensor('int64', BigInt64Array.of(BigInt(chunkK)), [1]),
    });
    const { similarities, rows: indices } = found;
    if (!(similarities?.data instanceof Float32Array) || !(indices?.data instanceof BigInt64Array)) {
      throw new NearvoteError('internal', 'Expected similarities and rows from exact search');
    }
    return {
      k: chunkK,
      similarities: similarities.data,
      rows: Int32Array.from(indices.data, (row) => Number(row) + from),
    };
  }

  return {
    kind: 'exact',
    size,
    dimension,
    search: async (queries, k): Promise<NearestRows> => {
      checkK(k, size);
      checkQueries(queries, dimension);
      const { count } = queries;
      const rows = new Int32Array(count * k);
      const similarities = new Float32Array(count * k);
      for (let start = 0; start < count && k > 0; start += chunkQueries) {
        const n = Math.min(chunkQueries, count - start);
        const values = queries.values.subarray(start * dimension, (start + n) * dimension);
        const tensor = new Tensor('float32', values, [n, dimension]);
        let best: Ranking | undefined;
        for (let from = 0; from < size; from += chunkRows) {
          const next = await searchChunk(tensor, from, k);
          best = best === undefined ? next : mergeNearest({ first: best, second: next, count: n, k });
        }
        if (best === undefined) continue;
        rows.set(best.rows, start * k);
        similarities.set(best.similarities, start * k);
      }
      return { count, k, rows, similarities };
    },
    close: () => session.release(),
  };
}
