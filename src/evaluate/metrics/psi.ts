import { NearvoteError } from '../../domain/errors.js';

/** An empty bin would make the index infinite: every share is taken to be at least this. */
const leastShare = 1e-4;

/**
 * Population stability index between two binned distributions, the sum over bins of (a - e) ln(a / e) of their shares:
 * 0 where they agree; by custom under 0.1 is no drift and over 0.25 much. Both are counts in the same bins; shares below
 * 1e-4 count as 1e-4. NaN where either has none.
 * @throws NearvoteError `internal` when they have different bins
 */
export function populationStabilityIndex(expected: readonly number[], actual: readonly number[]): number {
  if (expected.length !== actual.length) {
    throw new NearvoteError(
      'internal',
      `Expected ${expected.length} bins, as the other distribution has, but received ${actual.length}`,
    );
  }
  const a = shares(actual);
  return shares(expected).reduce((sum, e, bin) => {
    const share = a[bin] ?? NaN;
    return sum + (share - e) * Math.log(share / e);
  }, 0);
}

function shares(counts: readonly number[]): number[] {
  const total = counts.reduce((sum, count) => sum + count, 0);
  return counts.map((count) => Math.max(count / total, leastShare));
}
