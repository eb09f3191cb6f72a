/** What a run measured: a name with its unit, and a number. */
export type Figures = Readonly<Record<string, number>>;

/** The value that `share` of the values do not exceed. */
export function percentile(values: Iterable<number>, share: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? NaN;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle) - 1] ?? NaN) + (sorted[Math.floor(middle)] ?? NaN)) / 2;
}

/** The median of every figure over the rounds. */
export function medians(rounds: readonly Figures[]): Figures {
  const names = new Set(rounds.flatMap((round) => Object.keys(round)));
  return Object.fromEntries(
    [...names].map((name) => [name, median(rounds.map((round) => round[name] ?? NaN))]),
  );
}

/** A figure that has to be there. @throws Error */
export function figure(figures: Figures, name: string): number {
  const value = figures[name];
  if (value === undefined) throw new Error(`Expected a figure named ${name} but received none`);
  return value;
}
