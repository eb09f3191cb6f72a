import type { Progress } from '../build/progress.js';
import type { Example } from '../domain/decision.js';
import type { Embeddings } from '../domain/embeddings.js';
import type { Searcher } from '../neighbours/searcher.js';
import { scoreRetrieval, type QueryRetrieval } from './metrics/retrieval.js';

export interface MeasureRetrievalOptions {
  readonly queries: Embeddings;
  /** The true label of each query. */
  readonly truths: readonly string[];
  readonly examples: readonly Example[];
  readonly exact: Searcher;
  /** Retrieval recall is asked for up to this k. */
  readonly mostRecall: number;
  readonly progress: Progress;
}

export interface MeasuredRetrieval {
  /** Of each query that is not lone, in order. */
  readonly scores: readonly QueryRetrieval[];
  /** Queries whose label no example has. */
  readonly lone: number;
}

/** R can be thousands: the neighbours of so many queries are held at once. */
const queriesPerSearch = 256;

/** Scores the retrieval of every query by exact search as deep as its label has examples: the encoder's own figures. */
export async function measureRetrieval(options: MeasureRetrievalOptions): Promise<MeasuredRetrieval> {
  const { queries, truths, examples, exact, mostRecall, progress } = options;
  const sameLabel = new Map<string, number>();
  for (const { label } of examples) sameLabel.set(label, (sameLabel.get(label) ?? 0) + 1);
  const deepest = new Set(truths.map((truth) => sameLabel.get(truth) ?? 0));
  const k = Math.min(Math.max(mostRecall, ...deepest), examples.length);

  const scores: QueryRetrieval[] = [];
  let lone = 0;
  progress.start({ name: 'retrieval', total: queries.count, unit: 'queries' });
  for (let start = 0; start < queries.count; start += queriesPerSearch) {
    const chunk = rowsBetween(queries, start, Math.min(start + queriesPerSearch, queries.count));
    const { rows } = await exact.search(chunk, k);
    for (let query = 0; query < chunk.count; query++) {
      const label = truths[start + query] ?? '';
      const neighbours = Array.from(
        rows.subarray(query * k, (query + 1) * k),
        (row) => examples[row]?.label ?? '',
      );
      const score = scoreRetrieval({ label, neighbours, sameLabel: sameLabel.get(label) ?? 0 });
      if (score === undefined) lone++;
      else scores.push(score);
    }
    progress.advance(chunk.count);
  }
  progress.finish();
  return { scores, lone };
}

function rowsBetween(embeddings: Embeddings, start: number, end: number): Embeddings {
  const { dimension, values } = embeddings;
  return { ...embeddings, count: end - start, values: values.subarray(start * dimension, end * dimension) };
}
