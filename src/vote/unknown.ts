import type { LabelScore } from '../domain/decision.js';
import { countUpTo } from './bins.js';

/**
 * How familiar an image is, higher for known ones. `similarity`: to the k-th neighbour (Sun et al., ICML 2022,
 * arXiv:2204.06507, who take the distance of unit embeddings: the same order, reversed). `vote`: the top label's score
 * (after Hendrycks & Gimpel 2017, arXiv:1610.02136).
 */
export const unknownRules = ['similarity', 'vote'] as const;
export type UnknownRule = (typeof unknownRules)[number];

/** Where nothing else is told. */
export const defaultUnknown = { rule: 'similarity', epsilon: 0.05 } as const;

/** Split conformal: what is less familiar than nearly all of the known images it was calibrated on is unknown. */
export interface UnknownTest {
  readonly rule: UnknownRule;
  /** At most this share of exchangeable known images is rejected, in (0, 1). */
  readonly epsilon: number;
  /** Familiarity of the known images, ascending. */
  readonly familiarities: readonly number[];
}

/** What a vote found. */
export interface Found {
  /** Every label with votes, best first. */
  readonly scores: readonly LabelScore[];
  /** Of the k that voted. */
  readonly meanSimilarity: number;
  /** Of the last of the k. */
  readonly kthSimilarity: number;
}

/** What the k that voted say, their similarities nearest first; NaN without neighbours. */
export function foundOf(scores: readonly LabelScore[], similarities: ArrayLike<number>): Found {
  let sum = 0;
  for (let i = 0; i < similarities.length; i++) sum += similarities[i] ?? NaN;
  return {
    scores,
    meanSimilarity: sum / similarities.length,
    kthSimilarity: similarities[similarities.length - 1] ?? NaN,
  };
}

/** How familiar an image is under a rule; NaN without neighbours. */
export function familiarityOf(rule: UnknownRule, { scores, kthSimilarity }: Found): number {
  return rule === 'vote' ? (scores[0]?.score ?? NaN) : kthSimilarity;
}

/**
 * The conformal p-value (1 + #{calibration scores >= score}) / (n + 1), where the score is a nonconformity: minus the
 * familiarity. For a known image exchangeable with the n, P(p <= t) <= t for every t (Vovk, Gammerman & Shafer 2005;
 * Bates et al. 2023, arXiv:2104.08279).
 */
export function pValueOf({ familiarities }: Pick<UnknownTest, 'familiarities'>, familiarity: number): number {
  return (1 + countUpTo(familiarities, familiarity)) / (familiarities.length + 1);
}

/**
 * The same decision as a threshold: p < epsilon is a familiarity below it. It is Sun et al.'s threshold at a
 * true-positive rate of 1 - epsilon, moved by the one image that a guarantee for the next image costs.
 * Undefined with fewer images than `fewestToReject`.
 */
export function thresholdOf({ epsilon, familiarities }: UnknownTest): number | undefined {
  const count = familiarities.length;
  // The fewest at or below it with (1 + fewest) / (count + 1) >= epsilon, by the very division of the p-value.
  let fewest = Math.max(Math.floor(epsilon * (count + 1)) - 2, 0);
  while ((1 + fewest) / (count + 1) < epsilon) fewest++;
  return fewest === 0 ? undefined : familiarities[fewest - 1];
}

/** The fewest images with which anything can be rejected, 1 / (n + 1) < epsilon: 20 for 0.05. */
export function fewestToReject(epsilon: number): number {
  let fewest = Math.max(Math.floor(1 / epsilon) - 2, 0);
  while (1 / (fewest + 1) >= epsilon) fewest++;
  return fewest;
}

/** The share of the calibration images that a threshold keeps. */
export function keptShareOf({ familiarities }: UnknownTest, threshold: number | undefined): number {
  if (threshold === undefined) return 1;
  const rejected = familiarities.filter((familiarity) => familiarity < threshold).length;
  return 1 - rejected / familiarities.length;
}
