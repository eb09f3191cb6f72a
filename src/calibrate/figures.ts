import { auroc } from '../evaluate/metrics/detection.js';
import {
  expectedCalibrationError,
  negativeLogLikelihood,
  reliabilityBins,
  type Confident,
  type ReliabilityBin,
} from '../evaluate/metrics/probability.js';

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
  const of = (wanted: boolean): number[] =>
    answers.filter(({ correct }) => correct === wanted).map(({ confidence }) => confidence);
  const [known, unknown] = [of(true), of(false)];
  return {
    accuracy: known.length / answers.length,
    ece: expectedCalibrationError(bins),
    brier: mean(answers.map(({ confidence, correct }) => (confidence - (correct ? 1 : 0)) ** 2)),
    nll: negativeLogLikelihood(
      answers.map(({ confidence, correct }) => ({
        truth: correct ? 'right' : 'wrong',
        scores: [
          { label: 'right', score: confidence },
          { label: 'wrong', score: 1 - confidence },
        ],
      })),
    ),
    auroc: known.length === 0 || unknown.length === 0 ? null : auroc({ known, unknown }),
    bins,
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
