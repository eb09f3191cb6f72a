import type { Example } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';

const named = 5;

/**
 * With other labels to choose from, one of two has an easier task than the other.
 * @throws NearvoteError `usage` naming the labels that only one has
 */
export function checkSameLabels(a: readonly Example[], b: readonly Example[]): void {
  const [onlyA, onlyB] = [labelsOnlyIn(a, b), labelsOnlyIn(b, a)];
  if (onlyA.length === 0 && onlyB.length === 0) return;
  throw new NearvoteError(
    'usage',
    `Expected A and B to have the same labels but only A has ${list(onlyA)}, and only B has ${list(onlyB)}`,
  );
}

/** Whether each label has as many examples in both. */
export function sameCounts(a: readonly Example[], b: readonly Example[]): boolean {
  const counts = new Map<string, number>();
  for (const { label } of a) counts.set(label, (counts.get(label) ?? 0) + 1);
  for (const { label } of b) counts.set(label, (counts.get(label) ?? 0) - 1);
  return [...counts.values()].every((count) => count === 0);
}

function labelsOnlyIn(these: readonly Example[], those: readonly Example[]): string[] {
  const others = new Set(those.map(({ label }) => label));
  return [...new Set(these.map(({ label }) => label))].filter((label) => !others.has(label)).sort();
}

function list(labels: readonly string[]): string {
  if (labels.length === 0) return 'none';
  const more = labels.length > named ? ` and ${labels.length - named} more` : '';
  return labels.slice(0, named).join(', ') + more;
}
