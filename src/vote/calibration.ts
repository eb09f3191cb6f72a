import type { LabelScore } from '../domain/decision.js';
import type { Bins } from './bins.js';
import { confidenceOf, marginOf, type ConfidenceMap } from './confidence.js';
import type { VoteRule } from './rules.js';
import { familiarityOf, pValueOf, type Found, type UnknownTest } from './unknown.js';

/** How a pair votes where a request sets nothing of its own. */
export interface VoteSettings {
  readonly rule: VoteRule;
  readonly temperature: number;
  /** Clamped to the index. */
  readonly k: number;
  /** Divide each label's weight by its share of the index. */
  readonly priorCorrection: boolean;
}

/** What was fitted on labelled images that neither the encoder nor the index has seen. */
export interface Calibration {
  readonly vote: VoteSettings;
  readonly confidence: ConfidenceMap;
  readonly unknown: UnknownTest;
  /** Similarity to the nearest neighbour: what tells whether the images of today are like those it was fitted on. */
  readonly topSimilarity: Bins;
}

export interface Judgement {
  /** The probability that the top label is right, for an image like those of the calibration. */
  readonly confidence: number;
  readonly pValue: number;
  readonly outcome: 'known' | 'unknown';
}

/**
 * What a calibration makes of a vote with its settings. The labels and their scores stay as they were voted.
 * @param embedding `[dimension]`, of the image
 */
export function judge(
  { confidence, unknown }: Pick<Calibration, 'confidence' | 'unknown'>,
  found: Found,
  embedding: ArrayLike<number>,
): Judgement {
  const pValue = pValueOf(unknown, familiarityOf(unknown.rule, found));
  const { scores, meanSimilarity, kthSimilarity } = found;
  const margin =
    confidence.kind === 'logistic' ? marginOf(confidence.directions, scores[0]?.label ?? '', embedding) : 0;
  return {
    confidence: confidenceOf(confidence, {
      share: topShare(scores),
      ...{ meanSimilarity, kthSimilarity, margin },
    }),
    pValue,
    outcome: pValue < unknown.epsilon ? 'unknown' : 'known',
  };
}

/** The top label's share of the vote; NaN for no votes. */
function topShare(scores: readonly LabelScore[]): number {
  return scores[0]?.score ?? NaN;
}
