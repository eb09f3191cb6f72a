import { pairedMean, type PairedFigure } from './compare-figures.js';
import { classScores } from './metrics/confusion.js';

export interface ComparedClass {
  readonly label: string;
  /** Images that have it. */
  readonly count: number;
  /** Of those, the share given it. */
  readonly recall: PairedFigure;
  readonly f1: { readonly a: number; readonly b: number };
}

export interface CompareClassesOptions {
  readonly truths: readonly string[];
  readonly predicted: { readonly a: readonly string[]; readonly b: readonly string[] };
  readonly seed: number;
}

/** Each true label by itself, in label order. */
export function compareClasses({ truths, predicted, seed }: CompareClassesOptions): ComparedClass[] {
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
