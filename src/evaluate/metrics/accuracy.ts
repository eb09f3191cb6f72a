/** One image's true label and the one it was given; `undefined` where nothing was given. */
export interface Judged {
  readonly truth: string;
  readonly predicted: string | undefined;
}

export interface ClassAccuracy {
  readonly label: string;
  readonly count: number;
  readonly correct: number;
  /** correct / count */
  readonly accuracy: number;
}

export interface Confusion {
  readonly truth: string;
  readonly predicted: string;
  readonly count: number;
}

/** The share of images given their true label; NaN for none. */
export function accuracyOf(judged: readonly Judged[]): number {
  const correct = judged.filter(({ truth, predicted }) => truth === predicted).length;
  return correct / judged.length;
}

/**
 * The share of images whose true label is among the first `n` of those that got votes, best first; NaN for none.
 * Fewer than `n` labels count as they are: a label without votes is never among them.
 */
export function topAccuracy(
  images: readonly { readonly truth: string; readonly labels: readonly string[] }[],
  n: number,
): number {
  return images.filter(({ truth, labels }) => labels.slice(0, n).includes(truth)).length / images.length;
}

/** Accuracy of each true label, in label order (code units). */
export function accuracyPerClass(judged: readonly Judged[]): ClassAccuracy[] {
  const classes = new Map<string, { count: number; correct: number }>();
  for (const { truth, predicted } of judged) {
    const entry = classes.get(truth) ?? { count: 0, correct: 0 };
    entry.count++;
    if (truth === predicted) entry.correct++;
    classes.set(truth, entry);
  }
  return [...classes]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([label, { count, correct }]) => ({ label, count, correct, accuracy: correct / count }));
}

/** The pairs of labels most often taken for one another, most frequent first, equal counts in label order. */
export function mostConfused(judged: readonly Judged[], most: number): Confusion[] {
  const counts = new Map<string, Map<string, number>>();
  for (const { truth, predicted } of judged) {
    if (predicted === undefined || predicted === truth) continue;
    const row = counts.get(truth) ?? new Map<string, number>();
    row.set(predicted, (row.get(predicted) ?? 0) + 1);
    counts.set(truth, row);
  }
  return [...counts]
    .flatMap(([truth, row]) => [...row].map(([predicted, count]) => ({ truth, predicted, count })))
    .sort((a, b) => b.count - a.count || compare(a.truth, b.truth) || compare(a.predicted, b.predicted))
    .slice(0, most);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

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
