import type { Judged } from './accuracy.js';

export interface ConfusionMatrix {
  /** Every label that is a truth or was given, in code-unit order. */
  readonly labels: readonly string[];
  /** Images, `[truth][predicted]` in the order of `labels`. */
  readonly counts: readonly (readonly number[])[];
}

/** Counts every pair of true and given label; images that were given none are in no column. */
export function confusionMatrix(judged: readonly Judged[]): ConfusionMatrix {
  const labels = [
    ...new Set(
      judged.flatMap(({ truth, predicted }) => (predicted === undefined ? truth : [truth, predicted])),
    ),
  ].sort();
  const at = new Map(labels.map((label, i) => [label, i]));
  const counts = labels.map(() => labels.map(() => 0));
  for (const { truth, predicted } of judged) {
    const row = counts[at.get(truth) ?? -1];
    const column = predicted === undefined ? undefined : at.get(predicted);
    if (row !== undefined && column !== undefined) row[column] = (row[column] ?? 0) + 1;
  }
  return { labels, counts };
}

export interface PrecisionRecall {
  /** Of the images given this label, the share that have it. */
  readonly precision: number;
  /** Of the images that have this label, the share that were given it. */
  readonly recall: number;
  /** The harmonic mean of both. */
  readonly f1: number;
}

export interface ClassScores extends PrecisionRecall {
  readonly label: string;
  /** Images that have it. */
  readonly count: number;
}

/**
 * Precision, recall and F1 of each label that is a truth or was given, in label order. As scikit-learn's
 * `precision_recall_fscore_support` with `zero_division=0`: what has nothing to be a share of is 0.
 */
export function classScores(judged: readonly Judged[]): ClassScores[] {
  const classes = new Map<string, { count: number; given: number; correct: number }>();
  const entryOf = (label: string): { count: number; given: number; correct: number } => {
    const entry = classes.get(label) ?? { count: 0, given: 0, correct: 0 };
    classes.set(label, entry);
    return entry;
  };
  for (const { truth, predicted } of judged) {
    entryOf(truth).count++;
    if (predicted === undefined) continue;
    entryOf(predicted).given++;
    if (predicted === truth) entryOf(truth).correct++;
  }
  return [...classes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, { count, given, correct }]) => ({
      label,
      count,
      precision: share(correct, given),
      recall: share(correct, count),
      f1: share(2 * correct, given + count),
    }));
}

/** The unweighted means over the labels, as scikit-learn's `average='macro'`: macro F1 is the mean of the F1s. */
export function macroScores(classes: readonly ClassScores[]): PrecisionRecall {
  const mean = (of: (one: ClassScores) => number): number =>
    classes.reduce((sum, one) => sum + of(one), 0) / classes.length;
  return {
    precision: mean(({ precision }) => precision),
    recall: mean(({ recall }) => recall),
    f1: mean(({ f1 }) => f1),
  };
}

function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
