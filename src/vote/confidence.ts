import { countUpTo } from './bins.js';

/**
 * From the top label's share of the vote to the probability that this label is right. Neither kind ever falls as the
 * share rises, and neither is asked which label to give: no label is changed.
 */
export type ConfidenceMap = SigmoidMap | IsotonicMap;

/**
 * sigmoid(slope * logit(share) + bias): temperature scaling (Guo et al. 2017, arXiv:1706.04599) of the top label
 * against the rest with T = 1 / slope, and the offset of Platt 1999, because shares of a vote are not centred.
 */
export interface SigmoidMap {
  readonly kind: 'temperature';
  /** >= 0; 0 where the share tells nothing. */
  readonly slope: number;
  readonly bias: number;
}

/** Straight lines between points and level outside them: isotonic regression (Zadrozny & Elkan 2002). */
export interface IsotonicMap {
  readonly kind: 'isotonic';
  /** Ascending, no two alike. */
  readonly shares: readonly number[];
  /** One a share, never falling. */
  readonly probabilities: readonly number[];
}

/** A share of 1 says that k neighbours agree, not that the odds are infinite. */
const leastShare = 1e-3;

/** log(share / (1 - share)), the share held 0.001 away from 0 and 1. */
export function logitOf(share: number): number {
  const held = Math.min(Math.max(share, leastShare), 1 - leastShare);
  return Math.log(held / (1 - held));
}

/** The probability that the top label is right when `share` of the vote is its own; both 0 to 1. */
export function confidenceOf(map: ConfidenceMap, share: number): number {
  return map.kind === 'temperature'
    ? sigmoid(map.slope * logitOf(share) + map.bias)
    : interpolate(map, share);
}

export function sigmoid(logit: number): number {
  return 1 / (1 + Math.exp(-logit));
}

function interpolate({ shares, probabilities }: IsotonicMap, share: number): number {
  const after = countUpTo(shares, share);
  const low = probabilities[after - 1];
  const high = probabilities[after];
  if (low === undefined) return high ?? NaN;
  if (high === undefined) return low;
  const from = shares[after - 1] ?? NaN;
  const to = shares[after] ?? NaN;
  // Rounding must not lift it above the next point.
  return Math.min(low + ((share - from) / (to - from)) * (high - low), high);
}
