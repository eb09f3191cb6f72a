import { ballotsOf, vote, type VoteOptions } from '../vote/vote.js';
import type { Example } from '../domain/decision.js';
import { tieTolerance, type Embeddings } from '../domain/embeddings.js';
import type { NearestRows, Searcher } from '../neighbours/searcher.js';
import { voteRules, type VoteRule } from '../vote/rules.js';
import {
  accuracyOf,
  accuracyPerClass,
  mostConfused,
  type ClassAccuracy,
  type Confusion,
  type Judged,
} from './metrics/accuracy.js';
import type { Confident } from './metrics/confidence.js';
import { foundOf, type Found } from '../vote/unknown.js';

/** What the neighbours said of one image. */
export interface Answer extends Found {
  readonly label: string;
  /** The label's share of the vote. */
  readonly confidence: number;
}

/** Images found near others, `[count, k]`, and what the rows stand for. */
export interface Neighbourhoods {
  readonly found: NearestRows;
  readonly examples: readonly Example[];
}

/** Lets the nearest `k` of those found vote on each image, in order. */
export function answersOf({ found, examples }: Neighbourhoods, k: number, options: VoteOptions): Answer[] {
  return Array.from({ length: found.count }, (_, query) => {
    const ballots = ballotsOf({ found, examples }, query, k);
    const scores = vote(ballots, options);
    return {
      label: scores[0]?.label ?? '',
      confidence: scores[0]?.score ?? NaN,
      ...foundOf(
        scores,
        ballots.map(({ similarity }) => similarity),
      ),
    };
  });
}

/** The share of the vote of each answer, and whether it is the true label. */
export function confidentOf(answers: readonly Answer[], truths: readonly string[]): Confident[] {
  return answers.map(({ label, confidence }, i) => ({ confidence, correct: label === truths[i] }));
}

export interface AccuracyOptions {
  readonly queries: Embeddings;
  /** The true label of each query. */
  readonly truths: readonly string[];
  readonly examples: readonly Example[];
  /** The index as it is served; absent where HNSW could not be built. */
  readonly hnsw: Searcher | undefined;
  readonly exact: Searcher;
  readonly vote: VoteOptions;
  /** The k that is served, and the k's of the table; each clamped to the index. */
  readonly k: number;
  readonly ks: readonly number[];
}

interface AccuracyAtK {
  readonly k: number;
  readonly hnsw: number | undefined;
  readonly exact: number;
}

export interface AccuracyReport {
  readonly queries: number;
  readonly examples: number;
  readonly accuracy: readonly AccuracyAtK[];
  /** At the served k, by the served search. */
  readonly served: { readonly k: number; readonly accuracy: number };
  readonly perClass: readonly ClassAccuracy[];
  readonly confusions: readonly Confusion[];
  /** HNSW against exact search at the served k. */
  readonly indexRecall: { readonly k: number; readonly value: number } | undefined;
  /** Queries whose nearest example is all but identical: the data overlaps the index. */
  readonly duplicates: number;
  /** What was found and served for each query, in order. */
  readonly answers: readonly Answer[];
  /** The neighbours that voted, `[queries, served k]`, and those by exact search at the largest k. */
  readonly found: { readonly served: NearestRows; readonly exact: NearestRows };
  readonly searchMsPerQuery: { readonly hnsw: number | undefined; readonly exact: number };
}

interface Timed {
  readonly found: NearestRows;
  readonly msPerQuery: number;
}

/** Cosine from which two images are taken for the same one. */
export const sameImage = 1 - tieTolerance;

/** Finds the neighbours of every query, by HNSW and exactly, and lets them vote at each k. */
export async function measureAccuracy(options: AccuracyOptions): Promise<AccuracyReport> {
  const { queries, truths, examples, hnsw, exact } = options;
  const clamp = (k: number): number => Math.min(k, examples.length);
  const ks = [...new Set([...options.ks, options.k].map(clamp))].sort((a, b) => a - b);
  const servedK = clamp(options.k);

  const timed = async (searcher: Searcher, k: number): Promise<Timed> => {
    const started = performance.now();
    const found = await searcher.search(queries, k);
    return { found, msPerQuery: (performance.now() - started) / queries.count };
  };
  const byExact = await timed(exact, Math.max(...ks));
  // Larger k's widen the HNSW search: at the served k it must be the very search that is served.
  const byHnsw = hnsw && (await timed(hnsw, servedK));

  const answer = (found: NearestRows, k: number): Answer[] => answersOf({ found, examples }, k, options.vote);
  const judge = (answers: readonly Answer[]): Judged[] =>
    truths.map((truth, i) => ({ truth, predicted: answers[i]?.label }));

  const served = byHnsw?.found ?? byExact.found;
  const answers = answer(served, servedK);
  const judged = judge(answers);
  const accuracy: AccuracyAtK[] = [];
  for (const k of ks) {
    const found = hnsw && (k > servedK ? await hnsw.search(queries, k) : byHnsw?.found);
    accuracy.push({
      k,
      hnsw: found && accuracyOf(judge(answer(found, k))),
      exact: accuracyOf(judge(answer(byExact.found, k))),
    });
  }
  return {
    queries: queries.count,
    examples: examples.length,
    accuracy,
    served: { k: servedK, accuracy: accuracyOf(judged) },
    perClass: accuracyPerClass(judged),
    confusions: mostConfused(judged, 5),
    indexRecall: byHnsw && {
      k: servedK,
      value: meanOf(indexRecalls(byHnsw.found, byExact.found, servedK)),
    },
    duplicates: countDuplicates(byExact.found),
    answers,
    found: { served, exact: byExact.found },
    searchMsPerQuery: { hnsw: byHnsw?.msPerQuery, exact: byExact.msPerQuery },
  };
}

/** Of each query, the share of the k found whose similarity reaches the exact k-th, within the tie tolerance. */
export function indexRecalls(found: NearestRows, exact: NearestRows, k: number): Float64Array {
  return Float64Array.from({ length: found.count }, (_, query) => {
    const bar = (exact.similarities[query * exact.k + k - 1] ?? NaN) - tieTolerance;
    const reached = found.similarities.subarray(query * found.k, query * found.k + k);
    return reached.filter((similarity) => similarity >= bar).length / k;
  });
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function countDuplicates(found: NearestRows): number {
  let count = 0;
  for (let query = 0; query < found.count; query++) {
    if ((found.similarities[query * found.k] ?? NaN) >= sameImage) count++;
  }
  return count;
}

export interface RuleAccuracy {
  readonly k: number;
  readonly rules: readonly { readonly rule: VoteRule; readonly accuracy: number }[];
}

export interface RuleTableOptions extends Neighbourhoods {
  /** The true label of each query. */
  readonly truths: readonly string[];
  /** None larger than what was found. */
  readonly ks: readonly number[];
  /** T of the softmax rule. */
  readonly temperature: number;
}

/** The accuracy of every vote rule at every k, on the same neighbours. */
export function accuracyByRule(options: RuleTableOptions): RuleAccuracy[] {
  const { truths, ks, temperature } = options;
  return ks.map((k) => ({
    k,
    rules: voteRules.map((rule) => {
      const answers = answersOf(options, k, { rule, temperature });
      const judged = truths.map((truth, i) => ({ truth, predicted: answers[i]?.label }));
      return { rule, accuracy: accuracyOf(judged) };
    }),
  }));
}
