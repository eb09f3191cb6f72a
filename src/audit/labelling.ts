/** Labels as numbers: what is counted by label is an array then. */
export interface Labelling {
  /** Each label once, by code unit; a label's number is its place here. */
  readonly names: readonly string[];
  /** Of each row, its label's number. */
  readonly of: Int32Array;
  /** Rows of each label. */
  readonly counts: Int32Array;
}

export function numberLabels(labels: readonly string[]): Labelling {
  const names = [...new Set(labels)].sort();
  const numbers = new Map(names.map((name, number) => [name, number]));
  const of = Int32Array.from(labels, (label) => numbers.get(label) ?? -1);
  const counts = new Int32Array(names.length);
  for (const number of of) counts[number] = (counts[number] ?? 0) + 1;
  return { names, of, counts };
}

/** Two labels whose examples are taken for one another. */
export interface Overlap {
  /** By code unit. */
  readonly labels: readonly [string, string];
  /** Examples of the first taken for the second, and of the second for the first. */
  readonly taken: readonly [number, number];
  /** The taken of both, as a share of the examples of both: a symmetric confusion rate. */
  readonly rate: number;
}

/** Every pair of labels of which an example is taken for the other, the highest rate first, equal rates by label. */
export function overlaps(predicted: readonly string[], { names, of, counts }: Labelling): Overlap[] {
  const numbers = new Map(names.map((name, number) => [name, number]));
  const taken = new Map<number, [number, number]>();
  for (const [row, own] of of.entries()) {
    const other = numbers.get(predicted[row] ?? '') ?? own;
    if (other === own) continue;
    const key = Math.min(own, other) * names.length + Math.max(own, other);
    const pair = taken.get(key) ?? [0, 0];
    taken.set(key, pair);
    pair[own < other ? 0 : 1]++;
  }
  return [...taken]
    .map(([key, pair]): { key: number; overlap: Overlap } => {
      const [first, second] = [Math.floor(key / names.length), key % names.length];
      const labels = [names[first] ?? '', names[second] ?? ''] as const;
      const rate = (pair[0] + pair[1]) / ((counts[first] ?? 0) + (counts[second] ?? 0));
      return { key, overlap: { labels, taken: pair, rate } };
    })
    .sort((a, b) => b.overlap.rate - a.overlap.rate || a.key - b.key)
    .map(({ overlap }) => overlap);
}
