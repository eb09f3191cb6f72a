import type { Progress } from '../domain/progress.js';
import type { Example } from '../domain/decision.js';
import type { Embeddings } from '../domain/embeddings.js';
import { seededRandom } from '../domain/seeded-random.js';
import type { Searcher } from '../neighbours/searcher.js';
import { labelSharesOf, type VoteOptions } from '../vote/vote.js';
import { checkSameLabels } from './compare-sides.js';
import { answersOf, sameImage, type Answer } from './measure-accuracy.js';
import { measureRetrieval } from './measure-embeddings.js';
import { classScores, macroScores } from './metrics/accuracy.js';
import { bootstrap, bootstrapDifference, drawAgain, type Interval } from './metrics/intervals.js';
import { disagreement, mcnemar, type McNemar } from './metrics/mcnemar.js';
import type { QueryRetrieval } from './metrics/retrieval.js';

/** One of two that are compared: what it makes of the images, and the examples it looks them up among. */
export interface ComparedSide {
  readonly queries: Embeddings;
  readonly examples: readonly Example[];
  /** Exact, so that the graph has no part in what differs. */
  readonly exact: Searcher;
}

export interface DifferencesOptions {
  readonly a: ComparedSide;
  readonly b: ComparedSide;
  /** The true label of each query. */
  readonly truths: readonly string[];
  readonly vote: SideVote;
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
export async function measureDifferences(options: DifferencesOptions): Promise<CompareReport> {
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
  { truths, vote, progress }: DifferencesOptions,
  k: number,
): Promise<Measured> {
  const found = await exact.search(queries, k);
  const { scores } = await measureRetrieval({ queries, truths, examples, exact, mostRecall: 1, progress });
  const nearest = Array.from({ length: found.count }, (_, query) => found.similarities[query * k] ?? NaN);
  return {
    answers: answersOf({ found, examples }, k, voteOf(vote, examples)),
    retrieved: scores,
    duplicates: nearest.filter((similarity) => similarity >= sameImage).length,
  };
}

interface ComparedClass {
  readonly label: string;
  /** Images that have it. */
  readonly count: number;
  /** Of those, the share given it. */
  readonly recall: PairedFigure;
  readonly f1: { readonly a: number; readonly b: number };
}

interface CompareClassesOptions {
  readonly truths: readonly string[];
  readonly predicted: { readonly a: readonly string[]; readonly b: readonly string[] };
  readonly seed: number;
}

/** Each true label by itself, in label order. */
function compareClasses({ truths, predicted, seed }: CompareClassesOptions): ComparedClass[] {
  const f1 = (labels: readonly string[]): ReadonlyMap<string, number> =>
    new Map(
      classScores(truths.map((truth, i) => ({ truth, predicted: labels[i] }))).map((one) => [
        one.label,
        one.f1,
      ]),
    );
  const [f1OfA, f1OfB] = [f1(predicted.a), f1(predicted.b)];
  const rows = new Map<string, number[]>();
  for (const [row, truth] of truths.entries()) {
    const own = rows.get(truth) ?? [];
    own.push(row);
    rows.set(truth, own);
  }
  return [...rows]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, own]) => {
      const right = (labels: readonly string[]): number[] =>
        own.map((row) => (labels[row] === label ? 1 : 0));
      return {
        label,
        count: own.length,
        recall: pairedMean(right(predicted.a), right(predicted.b), seed),
        f1: { a: f1OfA.get(label) ?? NaN, b: f1OfB.get(label) ?? NaN },
      };
    });
}

export type FigureName = 'accuracy' | 'macroF1' | 'precisionAt1' | 'rPrecision' | 'mapAtR';

export interface PairedFigure {
  readonly a: number;
  readonly b: number;
  /** b - a, and its 95 % interval over the images. */
  readonly difference: number;
  readonly interval: Interval;
}

interface PairedFiguresOptions {
  readonly truths: readonly string[];
  /** The label each gave each image. */
  readonly predicted: { readonly a: readonly string[]; readonly b: readonly string[] };
  /** Of the images that are not lone, which are the same in both. */
  readonly retrieved: { readonly a: readonly QueryRetrieval[]; readonly b: readonly QueryRetrieval[] };
  readonly seed: number;
}

/** The figures of both and their differences, each interval from the same seed: adding one changes no other. */
function pairedFigures(options: PairedFiguresOptions): Record<FigureName, PairedFigure> {
  const { truths, predicted, retrieved, seed } = options;
  const right = (labels: readonly string[]): number[] =>
    labels.map((label, i) => (label === truths[i] ? 1 : 0));
  const ofRetrieval = (of: (one: QueryRetrieval) => number): PairedFigure =>
    pairedMean(retrieved.a.map(of), retrieved.b.map(of), seed);
  return {
    accuracy: pairedMean(right(predicted.a), right(predicted.b), seed),
    macroF1: pairedMacroF1(options),
    precisionAt1: ofRetrieval(({ precisionAt1 }) => precisionAt1),
    rPrecision: ofRetrieval(({ rPrecision }) => rPrecision),
    mapAtR: ofRetrieval(({ averagePrecisionAtR }) => averagePrecisionAtR),
  };
}

/** Means of values of the same images in the same order. */
function pairedMean(a: readonly number[], b: readonly number[], seed: number): PairedFigure {
  const mean = (values: readonly number[]): number =>
    values.reduce((sum, value) => sum + value, 0) / values.length;
  return {
    a: mean(a),
    b: mean(b),
    difference: mean(b) - mean(a),
    // What it takes away is its second.
    interval: bootstrapDifference(b, a, { random: seededRandom(seed) }),
  };
}

/** Macro F1 is no mean over images: both are worked out anew on each draw, on the same images. */
function pairedMacroF1({ truths, predicted, seed }: PairedFiguresOptions): PairedFigure {
  const rows = [...truths.keys()];
  const f1 = (labels: readonly string[], drawn: readonly number[]): number =>
    macroScores(classScores(drawn.map((row) => ({ truth: truths[row] ?? '', predicted: labels[row] })))).f1;
  const random = seededRandom(seed);
  const interval = bootstrap(() => {
    const drawn = drawAgain(rows, random);
    return f1(predicted.b, drawn) - f1(predicted.a, drawn);
  }, {});
  const [a, b] = [f1(predicted.a, rows), f1(predicted.b, rows)];
  return { a, b, difference: b - a, interval };
}

/** How both vote; a prior correction is by the label shares of each one's own examples. */
interface SideVote extends Omit<VoteOptions, 'priors'> {
  readonly priorCorrection?: boolean | undefined;
}

function voteOf(
  { rule, temperature, priorCorrection = false }: SideVote,
  examples: readonly { readonly label: string }[],
): VoteOptions {
  const priors = priorCorrection ? labelSharesOf(examples.map(({ label }) => label)) : undefined;
  return { rule, temperature, priors };
}
