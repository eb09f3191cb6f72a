import { dot, tieTolerance, type Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { openSession, Tensor } from '../onnx/session.js';
import { checkK, checkQueries, type NearestRows, type Searcher } from './searcher.js';

export interface ExactSearcherOptions {
  /** `[size, dimension]`; kept, not copied. Rows that are appended to it are searched from then on. */
  readonly embeddings: Embeddings;
  readonly threads: number;
  /** Whether threads wait for the next search at full speed; yes unless told. */
  readonly spinning?: boolean | undefined;
  /** Rows compared in one run: with `chunkQueries` it bounds the memory of a search. */
  readonly chunkRows?: number | undefined;
  readonly chunkQueries?: number | undefined;
}

// 16,384 x 256 similarities are 16 MB, twice: before and after the transpose. Larger is not faster.
const defaultChunkRows = 16_384;
const defaultChunkQueries = 256;

/**
 * A product of matrices rounds a similarity differently in different company. The nearest, and all that it ranks within
 * `tieTolerance` of the k-th and some more, are compared once again alone, so that no answer depends on what was asked beside it.
 */
const refinedMargin = 16;
/** More near-equals than this at the border are not told apart: they bound the memory of a search. */
const mostRefinedMargin = 4_096;

/** Exact search as a matrix product: every query against every row. Decision 002 has the figures. */
export async function createExactSearcher(options: ExactSearcherOptions): Promise<Searcher> {
  const { embeddings, threads, spinning = true } = options;
  const { chunkRows = defaultChunkRows, chunkQueries = defaultChunkQueries } = options;
  const { dimension } = embeddings;
  const session = await openSession({ model: await exactSearchModel(dimension), threads, spinning });

  async function searchChunk(among: Rows, queries: Tensor, from: number, k: number): Promise<Ranking> {
    const rows = Math.min(chunkRows, among.count - from);
    const values = among.values.subarray(from * dimension, (from + rows) * dimension);
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

  /** The `k` nearest of each of `count` queries, as the product rounded them. */
  async function rank(among: Rows, queries: Tensor, count: number, k: number): Promise<Ranking | undefined> {
    let best: Ranking | undefined;
    for (let from = 0; from < among.count; from += chunkRows) {
      const next = await searchChunk(among, queries, from, k);
      best = best === undefined ? next : mergeNearest({ first: best, second: next, count, k });
    }
    return best;
  }

  /** So many more than `k` that whatever the rounding may have put behind the k-th is among them. */
  async function rankBeyond(
    among: Rows,
    queries: Tensor,
    count: number,
    k: number,
  ): Promise<Ranking | undefined> {
    for (let margin = refinedMargin; ; margin *= 4) {
      const wanted = Math.min(k + Math.min(margin, mostRefinedMargin), among.count);
      const best = await rank(among, queries, count, wanted);
      if (best === undefined || wanted === among.count || margin >= mostRefinedMargin) return best;
      if (isClearBeyond(best, count, k)) return best;
    }
  }

  /** The nearest `k` of what was ranked for one query, compared once more in double precision. */
  function refine(ranking: Ranking, query: number, queries: Embeddings, k: number): RankedRow[] {
    const ranked: RankedRow[] = [];
    for (let i = query * ranking.k; i < (query + 1) * ranking.k; i++) {
      const row = ranking.rows[i] ?? -1;
      const similarity = Math.fround(
        dot(queries.values, query * dimension, embeddings.values, row * dimension, dimension),
      );
      ranked.push({ row, similarity });
    }
    return ranked.sort((a, b) => b.similarity - a.similarity || a.row - b.row).slice(0, k);
  }

  return {
    kind: 'exact',
    get size() {
      return embeddings.count;
    },
    dimension,
    embeddingOf: (row) => embeddings.values.subarray(row * dimension, (row + 1) * dimension),
    search: async (queries, k): Promise<NearestRows> => {
      // What is appended meanwhile is not among them.
      const among: Rows = { count: embeddings.count, values: embeddings.values };
      checkK(k, among.count);
      checkQueries(queries, dimension);
      const { count } = queries;
      const rows = new Int32Array(count * k);
      const similarities = new Float32Array(count * k);
      for (let start = 0; start < count && k > 0; start += chunkQueries) {
        const n = Math.min(chunkQueries, count - start);
        const values = queries.values.subarray(start * dimension, (start + n) * dimension);
        const best = await rankBeyond(among, new Tensor('float32', values, [n, dimension]), n, k);
        if (best === undefined) continue;
        const chunk = { ...queries, count: n, values };
        for (let query = 0; query < n; query++) {
          for (const [i, one] of refine(best, query, chunk, k).entries()) {
            rows[(start + query) * k + i] = one.row;
            similarities[(start + query) * k + i] = one.similarity;
          }
        }
      }
      return { count, k, rows, similarities };
    },
    close: () => session.release(),
  };
}

/** What one search looks at. */
type Rows = Pick<Embeddings, 'count' | 'values'>;

/** Whether the last that was ranked for each query is farther than its k-th by more than rounding. */
function isClearBeyond({ k: ranked, similarities }: Ranking, count: number, k: number): boolean {
  for (let query = 0; query < count; query++) {
    const kth = similarities[query * ranked + k - 1] ?? NaN;
    const last = similarities[(query + 1) * ranked - 1] ?? NaN;
    if (kth - last <= tieTolerance) return false;
  }
  return true;
}

interface RankedRow {
  readonly row: number;
  readonly similarity: number;
}

/**
 * The bytes of an ONNX model of exact search: `examples [N, dimension]`, `queries [n, dimension]` and `k [1]` in,
 * `similarities [n, k]` and `rows [n, k]` out, nearest first. TopK gives the lower row first among equals.
 */
async function exactSearchModel(dimension: number): Promise<Uint8Array> {
  // Loaded when needed: whoever has a graph to search does without.
  const { encodeModel, model, node, tensorInfo } = await import('../onnx/model.js');
  return encodeModel(
    model({
      name: 'exact-search',
      inputs: [
        tensorInfo({ name: 'examples', elementType: 'float32', dims: ['N', dimension] }),
        tensorInfo({ name: 'queries', elementType: 'float32', dims: ['n', dimension] }),
        tensorInfo({ name: 'k', elementType: 'int64', dims: [1] }),
      ],
      outputs: [
        tensorInfo({ name: 'similarities', elementType: 'float32', dims: ['n', 'k'] }),
        tensorInfo({ name: 'rows', elementType: 'int64', dims: ['n', 'k'] }),
      ],
      nodes: [
        // The tall matrix on the left: the other way round, packing it costs more than the product.
        node('Gemm', { inputs: ['examples', 'queries'], outputs: ['byRow'], attributes: { transB: 1 } }),
        node('Transpose', { inputs: ['byRow'], outputs: ['byQuery'], attributes: { perm: [1, 0] } }),
        node('TopK', {
          inputs: ['byQuery', 'k'],
          outputs: ['similarities', 'rows'],
          attributes: { axis: -1, largest: 1, sorted: 1 },
        }),
      ],
    }),
  );
}

/** For each of some queries its `k` nearest so far, nearest first: `rows` and `similarities` are `[count, k]`. */
interface Ranking {
  readonly k: number;
  readonly rows: Int32Array;
  readonly similarities: Float32Array;
}

interface MergeNearestOptions {
  readonly first: Ranking;
  /** Of rows that all come after those of `first`: so among equals, `first` goes first. */
  readonly second: Ranking;
  readonly count: number;
  /** How many to keep of each query; fewer where both together have fewer. */
  readonly k: number;
}

/** Merges the rankings of two stretches of rows into one, equal similarities in row order. */
function mergeNearest({ first, second, count, k }: MergeNearestOptions): Ranking {
  const kept = Math.min(k, first.k + second.k);
  const rows = new Int32Array(count * kept);
  const similarities = new Float32Array(count * kept);
  for (let query = 0; query < count; query++) {
    let a = query * first.k;
    let b = query * second.k;
    const aEnd = a + first.k;
    const bEnd = b + second.k;
    for (let out = query * kept; out < (query + 1) * kept; out++) {
      const fromFirst =
        b === bEnd || (a < aEnd && (first.similarities[a] ?? NaN) >= (second.similarities[b] ?? NaN));
      const source = fromFirst ? first : second;
      const at = fromFirst ? a++ : b++;
      rows[out] = source.rows[at] ?? -1;
      similarities[out] = source.similarities[at] ?? NaN;
    }
  }
  return { k: kept, rows, similarities };
}
