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
