import { seededRandom } from '../domain/seeded-random.js';
import { bootstrap, bootstrapDifference, drawAgain, type Interval } from './metrics/bootstrap.js';
import { classScores, macroScores } from './metrics/confusion.js';
import type { QueryRetrieval } from './metrics/retrieval.js';

export type FigureName = 'accuracy' | 'macroF1' | 'precisionAt1' | 'rPrecision' | 'mapAtR';

export interface PairedFigure {
  readonly a: number;
  readonly b: number;
  /** b - a, and its 95 % interval over the images. */
  readonly difference: number;
  readonly interval: Interval;
}

export interface PairedFiguresOptions {
  readonly truths: readonly string[];
  /** The label each gave each image. */
  readonly predicted: { readonly a: readonly string[]; readonly b: readonly string[] };
  /** Of the images that are not lone, which are the same in both. */
  readonly retrieved: { readonly a: readonly QueryRetrieval[]; readonly b: readonly QueryRetrieval[] };
  readonly seed: number;
}

/** The figures of both and their differences, each interval from the same seed: adding one changes no other. */
export function pairedFigures(options: PairedFiguresOptions): Record<FigureName, PairedFigure> {
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
export function pairedMean(a: readonly number[], b: readonly number[], seed: number): PairedFigure {
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
