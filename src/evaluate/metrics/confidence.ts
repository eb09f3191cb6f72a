import { auroc, type DetectionScores } from './detection.js';
import {
  expectedCalibrationError,
  negativeLogLikelihoodOf,
  reliabilityBins,
  type Confident,
  type ReliabilityBin,
} from './probability.js';

/**
 * What a confidence is worth as the probability that the answer is right: figures of a forecast of one event, not of
 * scores over all labels.
 */
export interface ConfidenceFigures {
  readonly accuracy: number;
  /** Expected calibration error over 15 bins of equal width. */
  readonly ece: number;
  /** Mean of (confidence - 1 if right, else 0) squared, 0 to 1. */
  readonly brier: number;
  /** Mean negative log-likelihood in nats; a confidence of 1 in a wrong answer counts as 34.5. */
  readonly nll: number;
  /** Chance that a right answer has more confidence than a wrong one; null where all or none are right. */
  readonly auroc: number | null;
  readonly bins: readonly ReliabilityBin[];
}

/** The figures of some answers; at least one. */
export function figuresOf(answers: readonly Confident[]): ConfidenceFigures {
  const bins = reliabilityBins(answers);
  const { known, unknown } = byCorrectness(answers);
  return {
    accuracy: known.length / answers.length,
    ece: expectedCalibrationError(bins),
    brier: mean(answers.map(squaredErrorOf)),
    nll: mean(answers.map(lossOf)),
    auroc: known.length === 0 || unknown.length === 0 ? null : auroc({ known, unknown }),
    bins,
  };
}

/** The confidences of right answers and of wrong ones, as what is to be told apart. */
export function byCorrectness(answers: readonly Confident[]): DetectionScores {
  const of = (wanted: boolean): number[] =>
    answers.filter(({ correct }) => correct === wanted).map(({ confidence }) => confidence);
  return { known: of(true), unknown: of(false) };
}

/** (confidence - 1 if right, else 0) squared, 0 to 1. */
export function squaredErrorOf({ confidence, correct }: Confident): number {
  return (confidence - (correct ? 1 : 0)) ** 2;
}

/** Negative log-likelihood in nats that the answer is as right as it is. */
export function lossOf({ confidence, correct }: Confident): number {
  return negativeLogLikelihoodOf({
    truth: correct ? 'right' : 'wrong',
    scores: [
      { label: 'right', score: confidence },
      { label: 'wrong', score: 1 - confidence },
    ],
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
