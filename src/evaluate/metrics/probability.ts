import type { LabelScore } from '../../domain/decision.js';

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
