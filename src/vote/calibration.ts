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

/** Where a calibration that is served comes from. */
export interface CalibrationOrigin {
  /** The version that it was fitted for. */
  readonly fittedFor: string;
  /** Examples that were added, left out or relabelled from that version to the one that is served. */
  readonly changed: number;
  /** The labels of that version. */
  readonly labels: ReadonlySet<string>;
}

/** How far an index has moved away from the calibration that it is served with. */
export interface CalibrationAge {
  readonly fittedFor: string;
  /** Share of the examples, 0 to 1. */
  readonly changedSince: number;
  /** It should be fitted anew: too much has changed, or there is a label that it never saw. */
  readonly stale: boolean;
}

/** With more than this share of the examples changed, a calibration is stale, unless told. */
export const defaultStaleAfter = 0.2;

/**
 * How old a calibration is in the state that an index is in.
 * @param staleAfter the share of the examples, 0 to 1, past which it is stale
 */
export function calibrationAge(
  { fittedFor, changed, labels }: CalibrationOrigin,
  index: {
    readonly examples: number;
    /** Since the version that is served. */
    readonly changed: number;
    readonly labels: readonly { readonly label: string }[];
  },
  staleAfter = defaultStaleAfter,
): CalibrationAge {
  const all = changed + index.changed;
  const changedSince = all === 0 ? 0 : Math.min(1, all / Math.max(1, index.examples));
  const isNew = all > 0 && index.labels.some(({ label }) => !labels.has(label));
  return { fittedFor, changedSince, stale: isNew || changedSince > staleAfter };
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
