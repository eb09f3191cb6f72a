import { populationStabilityIndex } from '../evaluate/metrics/psi.js';
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
