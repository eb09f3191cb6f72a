import { NearvoteError } from '../domain/errors.js';
import { binOf, type Bins } from '../vote/bins.js';

/** How far the similarities of the last decisions are from those of the calibration. */
export interface DriftWindow {
  /** Cheap: a search among ten edges. */
  add(similarity: number): void;
  /** Population stability index; 0 until there are enough decisions to tell. */
  index(): number;
}

/** Without any drift n decisions in b bins have an index of about (b - 1) / n: 0.01 for a full window of ten. */
const windowSize = 1_000;
const leastDecisions = 200;

/** A sliding window over the last 1,000 decisions, in the bins that the calibration has. */
export function createDriftWindow({ edges, counts: expected }: Bins): DriftWindow {
  const last = new Uint8Array(windowSize);
  const counts = expected.map(() => 0);
  let added = 0;
  return {
    add: (similarity) => {
      const place = added % windowSize;
      if (added >= windowSize) count(last[place] ?? 0, -1);
      const bin = binOf(edges, similarity);
      last[place] = bin;
      count(bin, 1);
      added++;
    },
    index: () => (added < leastDecisions ? 0 : populationStabilityIndex(expected, counts)),
  };

  function count(bin: number, by: number): void {
    counts[bin] = (counts[bin] ?? 0) + by;
  }
}

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
