import { tieTolerance } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';

/**
 * How neighbours vote: `softmax` exp(s / T), `similarity` max(s, 0), `majority` 1, `rank` 1 / rank. Their sources are
 * below.
 */
export const voteRules = ['softmax', 'majority', 'similarity', 'rank'] as const;
export type VoteRule = (typeof voteRules)[number];

/** Softmax with T = 0.07 over k = 20: the kNN evaluation of Wu et al. 2018 (arXiv:1805.01978) and DINO's eval_knn. */
export const defaultVote = { rule: 'softmax', temperature: 0.07, k: 20 } as const;

export interface WeightOptions {
  readonly rule: VoteRule;
  /** T of the softmax rule, finite and > 0. */
  readonly temperature: number;
}

/**
 * The weight of each of the neighbours with these similarities to the query, in their order; `[k]` to `[k]`. Shares
 * alone matter: a rule's weights may all be scaled by the same factor.
 * @throws NearvoteError `usage` when the softmax rule has a temperature that is not a number above 0
 */
export function weightsOf(similarities: readonly number[], options: WeightOptions): number[] {
  switch (options.rule) {
    case 'majority':
      return similarities.map(() => 1);
    case 'softmax':
      return softmaxWeights(similarities, options.temperature);
    case 'similarity': {
      // Where nothing points the same way as the query, nothing weighs more than the rest.
      const anyPositive = similarities.some((similarity) => similarity > 0);
      return similarities.map((similarity) => (anyPositive ? Math.max(similarity, 0) : 1));
    }
    case 'rank':
      return rankWeights(similarities);
  }
}

/** How much more the weight of a similarity might be, if the similarity were another that is equal within `tieTolerance`. */
export function weightSlack(
  { similarity, weight }: { readonly similarity: number; readonly weight: number },
  { rule, temperature }: WeightOptions,
): number {
  // Weights are summed, and divided by shares: so much is rounding whatever the rule.
  const rounding = weight * tieTolerance;
  switch (rule) {
    case 'softmax':
      return weight * Math.expm1(tieTolerance / temperature);
    case 'similarity':
      return Math.max(rounding, similarity + tieTolerance - weight);
    case 'majority':
    case 'rank':
      return rounding;
  }
}

/** exp(s / T), as DINO's eval_knn weighs (arXiv:2104.14294). */
function softmaxWeights(similarities: readonly number[], temperature: number): number[] {
  if (!Number.isFinite(temperature) || temperature <= 0) {
    throw new NearvoteError('usage', `Expected a temperature above 0 but received ${temperature}`);
  }
  // exp((s - max) / T): the same shares as exp(s / T), without overflow at a small T.
  const highest = similarities.reduce((max, similarity) => Math.max(max, similarity), -Infinity);
  return similarities.map((similarity) => Math.exp((similarity - highest) / temperature));
}

/**
 * 1 / rank, the nearest having rank 1: weights by rank go back to Dudani 1976 (IEEE SMC 6, 325-327), who takes
 * k - rank + 1; the reciprocal is a factor of the dual weights of Gou, Xiong & Kuang 2011 (Journal of Computers 6,
 * 833-840). It needs no scale of similarity. Similarities equal within `tieTolerance` share their ranks: each weighs the
 * mean of the weights of the places they take, so that their order among themselves is without effect.
 */
function rankWeights(similarities: readonly number[]): number[] {
  const nearestFirst = [...similarities.entries()].sort(([, a], [, b]) => b - a);
  const weights = new Array<number>(similarities.length).fill(0);
  for (let start = 0; start < nearestFirst.length;) {
    const similarity = nearestFirst[start]?.[1];
    let end = start;
    let sum = 0;
    while (
      end < nearestFirst.length &&
      (similarity ?? NaN) - (nearestFirst[end]?.[1] ?? NaN) <= tieTolerance
    ) {
      sum += 1 / ++end;
    }
    for (const [i] of nearestFirst.slice(start, end)) weights[i] = sum / (end - start);
    // A similarity that is NaN equals nothing, itself included.
    start = Math.max(end, start + 1);
  }
  return weights;
}
