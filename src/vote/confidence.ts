import { countUpTo } from './bins.js';

/**
 * From what speaks for the top label to the probability that this label is right. None is asked which label to give: no
 * label is changed.
 */
export type ConfidenceMap = ShareMap | SigmoidMap | IsotonicMap | LogisticMap;

/** The share of the vote as it is, where nothing that was fitted did better. */
interface ShareMap {
  readonly kind: 'share';
}

/** What speaks for the top label of a vote. */
export interface Evidence {
  /** Its share of the vote, 0 to 1. */
  readonly share: number;
  /** Cosine to the k that voted, and to the last of them. */
  readonly meanSimilarity: number;
  readonly kthSimilarity: number;
  /** How much nearer the image lies to the mean direction of this label's examples than to the next label's. */
  readonly margin: number;
}

/** sigmoid(weights . features + bias), the features as `featuresOf` has them. */
export interface LogisticMap {
  readonly kind: 'logistic';
  /** `[5]` */
  readonly weights: readonly number[];
  readonly bias: number;
  /** What the margin is measured by. */
  readonly directions: readonly ClassDirection[];
}

/** The mean direction of a label's examples, of unit length. */
export interface ClassDirection {
  readonly label: string;
  /** `[dimension]` */
  readonly direction: readonly number[];
}

/** Distances whose logarithm is taken end here: the same image need not be infinitely near. */
const leastDistance = 1e-4;

/**
 * `[5]`: the logit of the share, minus the logarithms of the mean and of the k-th distance, the margin and its square.
 * Distances go by their logarithm because encoders trained with SupCon crowd a class.
 */
export function featuresOf({ share, meanSimilarity, kthSimilarity, margin }: Evidence): number[] {
  const nearness = (similarity: number): number => -Math.log(Math.max(1 - similarity, leastDistance));
  return [logitOf(share), nearness(meanSimilarity), nearness(kthSimilarity), margin, margin * margin];
}

/** The cosine to the direction of a label less that to the nearest other; of a label without a direction 0 less it. */
export function marginOf(
  directions: readonly ClassDirection[],
  label: string,
  embedding: ArrayLike<number>,
): number {
  let own = 0;
  let other = -1;
  for (const { label: each, direction } of directions) {
    let cosine = 0;
    for (let i = 0; i < direction.length; i++) cosine += (direction[i] ?? NaN) * (embedding[i] ?? NaN);
    if (each === label) own = cosine;
    else other = Math.max(other, cosine);
  }
  return own - other;
}

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

/** The probability that the top label is right, 0 to 1. */
export function confidenceOf(map: ConfidenceMap, evidence: Evidence): number {
  switch (map.kind) {
    case 'share':
      return evidence.share;
    case 'temperature':
      return sigmoid(map.slope * logitOf(evidence.share) + map.bias);
    case 'isotonic':
      return interpolate(map, evidence.share);
    case 'logistic':
      return sigmoid(
        featuresOf(evidence).reduce((sum, feature, i) => sum + feature * (map.weights[i] ?? NaN), map.bias),
      );
  }
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
