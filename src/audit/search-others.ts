import type { Progress } from '../domain/progress.js';
import type { Embeddings } from '../domain/embeddings.js';
import { createExactSearcher } from '../neighbours/exact.js';
import { queriesOf } from '../neighbours/recall.js';
import type { NearestRows } from '../neighbours/searcher.js';

export interface SearchOthersOptions {
  /** The index, `[size, dimension]`. */
  readonly embeddings: Embeddings;
  /** The only rows that may be found, ascending; all unless given. */
  readonly among?: Int32Array | undefined;
  /** What is looked for; the rows of the index themselves unless given, each of which then finds only others. */
  readonly queries?: Embeddings | undefined;
  /** Clamped to what there is to find. */
  readonly k: number;
  readonly threads: number;
  readonly progress: Progress;
  /** Its name there: `searching` unless told. */
  readonly stage?: string | undefined;
}

/** Enough for a matrix product to pay, and few enough for a bar to move: their lists are all that is held of them. */
const queriesPerSearch = 1024;

/**
 * The k nearest rows of an index by exact search, for other images or, leave-one-out, for each of its own rows. Memory
 * is that of the embeddings and of the lists, `[queries, k]`: similarities are made and ranked in chunks.
 */
export async function searchOthers(options: SearchOthersOptions): Promise<NearestRows> {
  const { embeddings, among, threads, progress } = options;
  const { dimension } = embeddings;
  const leaveOneOut = options.queries === undefined;
  const queries = options.queries ?? embeddings;
  const found = among === undefined ? embeddings : queriesOf(embeddings, among);
  const k = Math.max(0, Math.min(options.k, found.count - (leaveOneOut ? 1 : 0)));
  const rows = new Int32Array(queries.count * k);
  const similarities = new Float32Array(queries.count * k);
  const searcher = await createExactSearcher({ embeddings: found, threads });
  try {
    progress.start({ name: options.stage ?? 'searching', total: queries.count, unit: 'images' });
    for (let start = 0; start < queries.count; start += queriesPerSearch) {
      const count = Math.min(queriesPerSearch, queries.count - start);
      const values = queries.values.subarray(start * dimension, (start + count) * dimension);
      // One more than k: the row itself may be among them.
      const width = Math.min(leaveOneOut ? k + 1 : k, found.count);
      const nearest = await searcher.search({ ...queries, count, values }, width);
      for (let query = 0; query < count; query++) {
        let to = (start + query) * k;
        const end = to + k;
        for (let from = query * width; to < end; from++) {
          const place = nearest.rows[from] ?? -1;
          const row = among === undefined ? place : (among[place] ?? -1);
          if (leaveOneOut && row === start + query) continue;
          rows[to] = row;
          similarities[to++] = nearest.similarities[from] ?? NaN;
        }
      }
      progress.advance(count);
      // Searching holds the thread: let a bar be drawn and a Ctrl-C be heard.
      await new Promise((resolve) => setImmediate(resolve));
    }
    progress.finish();
  } finally {
    await searcher.close();
  }
  return { count: queries.count, k, rows, similarities };
}
