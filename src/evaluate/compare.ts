import type { Progress } from '../build/progress.js';
import type { Example } from '../domain/decision.js';
import type { Embeddings } from '../domain/embeddings.js';
import type { Searcher } from '../neighbours/searcher.js';
import type { VoteOptions } from '../vote/vote.js';
import { answersOf, type Answer } from './answers.js';
import { pairedFigures, type FigureName, type PairedFigure } from './compare-figures.js';
import { compareClasses, type ComparedClass } from './compare-classes.js';
import { sameImage } from './evaluate.js';
import { measureRetrieval } from './measure-retrieval.js';
import { disagreement, mcnemar, type McNemar } from './metrics/mcnemar.js';
import type { QueryRetrieval } from './metrics/retrieval.js';
import { checkSameLabels } from './same-labels.js';

/** One of two that are compared: what it makes of the images, and the examples it looks them up among. */
export interface ComparedSide {
  readonly queries: Embeddings;
  readonly examples: readonly Example[];
  /** Exact, so that the graph has no part in what differs. */
  readonly exact: Searcher;
}

export interface CompareOptions {
  readonly a: ComparedSide;
  readonly b: ComparedSide;
  /** The true label of each query. */
  readonly truths: readonly string[];
  readonly vote: VoteOptions;
  /** Clamped to the smaller of both. */
  readonly k: number;
  readonly seed: number;
  readonly progress: Progress;
}

export interface CompareReport {
  readonly queries: number;
  readonly k: number;
  readonly figures: Readonly<Record<FigureName, PairedFigure>>;
  /** On accuracy. */
  readonly mcnemar: McNemar;
  readonly classes: readonly ComparedClass[];
  /** What each said of each query, in order. */
  readonly answers: { readonly a: readonly Answer[]; readonly b: readonly Answer[] };
  /** Queries whose nearest example is all but identical. */
  readonly duplicates: { readonly a: number; readonly b: number };
}

interface Measured {
  readonly answers: readonly Answer[];
  readonly retrieved: readonly QueryRetrieval[];
  readonly duplicates: number;
}

/**
 * Measures both on the same images, and what differs between them image by image. Differences are B - A: above 0, B is
 * better.
 * @throws NearvoteError `usage` when their examples have not the same labels
 */
export async function compare(options: CompareOptions): Promise<CompareReport> {
  const { a, b, truths, seed } = options;
  checkSameLabels(a.examples, b.examples);
  const k = Math.min(options.k, a.examples.length, b.examples.length);
  const [ofA, ofB] = [await measure(a, options, k), await measure(b, options, k)];
  const right = ({ answers }: Measured): boolean[] => answers.map(({ label }, i) => label === truths[i]);
  const given = ({ answers }: Measured): string[] => answers.map(({ label }) => label);
  const predicted = { a: given(ofA), b: given(ofB) };
  return {
    queries: truths.length,
    k,
    figures: pairedFigures({ truths, predicted, retrieved: { a: ofA.retrieved, b: ofB.retrieved }, seed }),
    mcnemar: mcnemar(disagreement(right(ofA), right(ofB))),
    classes: compareClasses({ truths, predicted, seed }),
    answers: { a: ofA.answers, b: ofB.answers },
    duplicates: { a: ofA.duplicates, b: ofB.duplicates },
  };
}

async function measure(
  { queries, examples, exact }: ComparedSide,
  { truths, vote, progress }: CompareOptions,
  k: number,
): Promise<Measured> {
  const found = await exact.search(queries, k);
  const { scores } = await measureRetrieval({ queries, truths, examples, exact, mostRecall: 1, progress });
  const nearest = Array.from({ length: found.count }, (_, query) => found.similarities[query * k] ?? NaN);
  return {
    answers: answersOf({ found, examples }, k, vote),
    retrieved: scores,
    duplicates: nearest.filter((similarity) => similarity >= sameImage).length,
  };
}
