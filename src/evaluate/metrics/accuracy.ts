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
