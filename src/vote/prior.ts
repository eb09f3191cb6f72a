/** The share of an index that each label has, 0 to 1. */
export type LabelShares = ReadonlyMap<string, number>;

/** Label shares from the label of every example; empty for none. */
export function labelSharesOf(labels: Iterable<string>): LabelShares {
  const counts = new Map<string, number>();
  let total = 0;
  for (const label of labels) {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    total++;
  }
  return new Map([...counts].map(([label, count]) => [label, count / total]));
}
