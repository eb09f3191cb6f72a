import type { LabelScore } from '../../domain/decision.js';
import { auroc, type DetectionScores } from './detection.js';

/** One image's true label and the scores of the labels that got votes; a label that got none has score 0. */
export interface Scored {
  readonly truth: string;
  readonly scores: readonly LabelScore[];
}

/** How sure an answer was, 0 to 1, and whether it was right. */
export interface Confident {
  readonly confidence: number;
  readonly correct: boolean;
}

export interface ReliabilityBin {
  readonly count: number;
  /** Means over the bin; NaN where it is empty. */
  readonly confidence: number;
  readonly accuracy: number;
}

/** As many as Guo et al. have. */
export const usualBins = 15;

/** Which of bins of equal width, each ((i - 1) / bins, i / bins], a confidence is in, from 0; 0 falls into the first. */
export function reliabilityBinOf(confidence: number, bins = usualBins): number {
  return Math.min(Math.max(Math.ceil(confidence * bins) - 1, 0), bins - 1);
}

/** Answers by confidence in bins of equal width. */
export function reliabilityBins(answers: readonly Confident[], bins = usualBins): ReliabilityBin[] {
  const sums = Array.from({ length: bins }, () => ({ count: 0, confidence: 0, correct: 0 }));
  for (const { confidence, correct } of answers) {
    const sum = sums[reliabilityBinOf(confidence, bins)];
    if (sum === undefined) continue;
    sum.count++;
    sum.confidence += confidence;
    if (correct) sum.correct++;
  }
  return sums.map(({ count, confidence, correct }) => ({
    count,
    confidence: confidence / count,
    accuracy: correct / count,
  }));
}

/**
 * Expected calibration error (Guo et al. 2017, arXiv:1706.04599): the gap between confidence and accuracy in each bin,
 * weighed by the share of answers in it; NaN for none.
 */
export function expectedCalibrationError(bins: readonly ReliabilityBin[]): number {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const gaps = bins.reduce(
    (sum, { count, confidence, accuracy }) =>
      count === 0 ? sum : sum + count * Math.abs(accuracy - confidence),
    0,
  );
  return gaps / total;
}

/** Squared error over all labels, 0 to 2 (Brier 1950): sum of (score - 1 if it is the truth, else 0) squared. */
export function brierOf({ truth, scores }: Scored): number {
  // A truth without votes is off by 1, and is in no score.
  return scores.reduce(
    (sum, { label, score }) => (label === truth ? sum - 1 + (1 - score) ** 2 : sum + score ** 2),
    1,
  );
}

/** Without it one image whose label got no votes would make the mean infinite; scikit-learn's `log_loss` had the same. */
const leastScore = 1e-15;

/** The negative natural logarithm of the true label's score, which is taken to be at least 1e-15 (34.5 nats). */
export function negativeLogLikelihoodOf({ truth, scores }: Scored): number {
  const score = scores.find(({ label }) => label === truth)?.score ?? 0;
  return -Math.log(Math.max(score, leastScore));
}

/** The mean over images of `brierOf`; NaN for none. */
export function brierScore(images: readonly Scored[]): number {
  return images.reduce((sum, image) => sum + brierOf(image), 0) / images.length;
}

/** The mean over images of `negativeLogLikelihoodOf`; NaN for none. */
export function negativeLogLikelihood(images: readonly Scored[]): number {
  return images.reduce((sum, image) => sum + negativeLogLikelihoodOf(image), 0) / images.length;
}

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
