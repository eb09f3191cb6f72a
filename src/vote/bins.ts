/** Values in bins: inner edges, ascending, and how many fell into each; a value on an edge is in the bin above it. */
export interface Bins {
  readonly edges: readonly number[];
  /** One more than edges. */
  readonly counts: readonly number[];
}

/** Which bin a value falls into, from 0. */
export function binOf(edges: readonly number[], value: number): number {
  return countUpTo(edges, value);
}

/** Bins that hold as nearly as ties allow the same number of these values: edges at their quantiles, none twice. */
export function quantileBins(values: ArrayLike<number>, most: number): Bins {
  const sorted = Float64Array.from(values).sort();
  const quantiles = Array.from(
    { length: most - 1 },
    (_, i) => sorted[Math.ceil(((i + 1) * sorted.length) / most)] ?? NaN,
  );
  // An edge at the least value would leave the bin below it empty.
  const edges = [...new Set(quantiles)].filter((edge) => edge > (sorted[0] ?? NaN));
  const counts = new Array<number>(edges.length + 1).fill(0);
  for (const value of sorted) {
    const bin = binOf(edges, value);
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return { edges, counts };
}

/** How many of the ascending values are at most `value`: the place of the first above it. */
export function countUpTo(ascending: ArrayLike<number>, value: number): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? NaN) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
