import type { Embeddings } from '../domain/embeddings.js';
import { accuracyOf, accuracyPerClass, mostConfused } from '../evaluate/metrics/accuracy.js';
import type { ClassAccuracy, Confusion, Judged } from '../evaluate/metrics/accuracy.js';
import {
  indexRecall,
  perturb,
  queriesOf,
  searchBeside,
  withoutOwn,
  type IndexRecall,
} from '../neighbours/recall.js';
import type { Searcher } from '../neighbours/searcher.js';
import { defaultVote } from '../vote/rules.js';
import { ballotsOf, vote } from '../vote/vote.js';
import type { Progress } from '../domain/progress.js';
import { sampleRows, seedOf } from '../domain/seeded-random.js';

/** Each sampled example classified by all the others, at the default vote. */
interface LeaveOneOut {
  readonly k: number;
  readonly queries: number;
  readonly accuracy: number;
  readonly perClass: readonly ClassAccuracy[];
  /** The pairs most often taken for one another. */
  readonly confusions: readonly Confusion[];
}

export interface IndexMeasurement {
  /** Null where search is exact. */
  readonly recall: IndexRecall | null;
  readonly leaveOneOut: LeaveOneOut;
}

export interface MeasureIndexOptions {
  readonly embeddings: Embeddings;
  /** Of each row. */
  readonly labels: readonly string[];
  /** What will be served. */
  readonly searcher: Searcher;
  readonly exact: Searcher;
  readonly seed: number;
  readonly progress: Progress;
}

/** Enough for a hundredth of a point of recall, and for a class in ten to be told to about a point. */
const recallQueries = 1_000;
const leaveOneOutQueries = 5_000;
const queriesPerSearch = 250;
const confusionsShown = 10;

/**
 * Measures a built index on a seeded sample of its rows: leave-one-out accuracy, and index recall@20 of queries that lie
 * as far from them as their nearest neighbours (docs/decisions/010).
 */
export async function measureIndex(options: MeasureIndexOptions): Promise<IndexMeasurement> {
  const { embeddings, labels, searcher, exact, seed, progress } = options;
  const rows = sampleRows({ size: embeddings.count, count: leaveOneOutQueries, seed });
  const examples = labels.map((label) => ({ label }));
  const k = Math.min(defaultVote.k, embeddings.count);
  const recalls: IndexRecall[] = [];
  const judged: Judged[] = [];
  progress.start({ name: 'measuring', total: rows.length, unit: 'queries' });
  for (let start = 0; start < rows.length; start += queriesPerSearch) {
    const queryRows = rows.subarray(start, start + queriesPerSearch);
    const queries = queriesOf(embeddings, queryRows);
    const neighbours = withoutOwn(await searchBeside(searcher, queries, defaultVote.k), queryRows);
    if (searcher.kind === 'hnsw' && start < recallQueries) {
      const asked = perturb({ queries, neighbours, seed: seedOf(seed, start) });
      const found = await searcher.search(asked, k);
      recalls.push(indexRecall({ found, exact: await exact.search(asked, k) }));
    }
    for (const [query, own] of queryRows.entries()) {
      const ballots = ballotsOf({ found: neighbours, examples }, query, defaultVote.k);
      judged.push({ truth: labels[own] ?? '', predicted: vote(ballots, defaultVote)[0]?.label });
    }
    progress.advance(queryRows.length);
    // Searching holds the thread: let a progress bar be drawn and a Ctrl-C be heard.
    await new Promise((resolve) => setImmediate(resolve));
  }
  progress.finish();
  return {
    recall: joinRecalls(recalls),
    leaveOneOut: {
      k: Math.min(defaultVote.k, embeddings.count - 1),
      queries: judged.length,
      accuracy: accuracyOf(judged),
      perClass: accuracyPerClass(judged),
      confusions: mostConfused(judged, confusionsShown),
    },
  };
}

function joinRecalls(recalls: readonly IndexRecall[]): IndexRecall | null {
  const [first] = recalls;
  if (first === undefined) return null;
  const queries = recalls.reduce((sum, recall) => sum + recall.queries, 0);
  const found = recalls.reduce((sum, recall) => sum + recall.value * recall.queries, 0);
  return { k: first.k, queries, value: Math.min(found / queries, 1) };
}
