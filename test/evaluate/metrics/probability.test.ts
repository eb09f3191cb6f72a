import { describe, expect, it } from 'vitest';
import {
  brierOf,
  brierScore,
  expectedCalibrationError,
  negativeLogLikelihood,
  negativeLogLikelihoodOf,
  reliabilityBins,
  type Scored,
} from '../../../src/evaluate/metrics/confidence.js';

describe('reliability', () => {
  it('is worked by hand: three bins, one of them empty', () => {
    const bins = reliabilityBins(
      [
        { confidence: 0.2, correct: false },
        { confidence: 0.3, correct: true },
        { confidence: 0.9, correct: true },
        { confidence: 1, correct: false },
      ],
      3,
    );
    expect(bins).toEqual([
      { count: 2, confidence: 0.25, accuracy: 0.5 },
      { count: 0, confidence: NaN, accuracy: NaN },
      { count: 2, confidence: 0.95, accuracy: 0.5 },
    ]);
    expect(expectedCalibrationError(bins)).toBeCloseTo(0.5 * 0.25 + 0.5 * 0.45, 12);
  });

  it('puts a confidence on a border into the bin below, and 0 into the first', () => {
    const counts = reliabilityBins(
      [0, 0.25, 0.26, 0.5, 1].map((confidence) => ({ confidence, correct: true })),
      4,
    ).map(({ count }) => count);
    expect(counts).toEqual([2, 2, 0, 1]);
  });

  it('has no error for no answers', () => {
    expect(expectedCalibrationError(reliabilityBins([]))).toBeNaN();
  });

  it('has the error that numpy finds in 15 bins', () => {
    /*
     * rng as in the references below, going on:
     *   conf = np.round(rng.random(40), 3); ok = rng.random(40) < conf
     *   b = np.clip(np.ceil(conf * 15).astype(int) - 1, 0, 14)
     *   sum(abs(conf[b == i].mean() - ok[b == i].mean()) * (b == i).sum() for i in range(15) if (b == i).any()) / 40
     */
    const confidences = [
      0.52, 0.951, 0.251, 0.806, 0.676, 0.717, 0.63, 0.972, 0.333, 0.398, 0.203, 0.051, 0.213, 0.915, 0.84,
      0.112, 0.604, 0.479, 0.595, 0.659, 0.307, 0.961, 0.466, 0.628, 0.635, 0.184, 0.062, 0.412, 0.764, 0.815,
      0.73, 0.113, 0.913, 0.802, 0.878, 0.523, 0.916, 0.047, 0.03, 0.02,
    ];
    const correct = '1111111111000110110001111001011011101000';
    const answers = confidences.map((confidence, i) => ({ confidence, correct: correct[i] === '1' }));
    expect(expectedCalibrationError(reliabilityBins(answers))).toBeCloseTo(0.195625, 12);
  });
});

describe('Brier score and negative log-likelihood', () => {
  it('are worked by hand, a label without votes having score 0', () => {
    const scores = [
      { label: 'a', score: 0.75 },
      { label: 'b', score: 0.25 },
    ];
    expect(brierOf({ truth: 'a', scores })).toBeCloseTo(0.25 ** 2 + 0.25 ** 2, 12);
    expect(brierOf({ truth: 'c', scores })).toBeCloseTo(0.75 ** 2 + 0.25 ** 2 + 1, 12);
    expect(negativeLogLikelihoodOf({ truth: 'b', scores })).toBeCloseTo(Math.log(4), 12);
    expect(negativeLogLikelihoodOf({ truth: 'c', scores })).toBeCloseTo(15 * Math.LN10, 9);
  });

  it('are those of scikit-learn', () => {
    /*
     * scikit-learn 1.2.1, numpy 1.24.2, the generator of clustering.test.ts going on:
     *   p = np.round(rng.dirichlet([1.5] * 3, 8), 2); p[:, 2] = np.round(1 - p[:, 0] - p[:, 1], 2)
     *   y = rng.integers(0, 3, 8)
     *   np.mean(np.sum((p - np.eye(3)[y]) ** 2, axis=1)), log_loss(y, p, eps=1e-15)
     */
    const p = [
      [0.54, 0.44, 0.02],
      [0.07, 0.84, 0.09],
      [0.39, 0.21, 0.4],
      [0.57, 0.19, 0.24],
      [0.66, 0.3, 0.04],
      [0.26, 0.38, 0.36],
      [0.38, 0.03, 0.59],
      [0.46, 0.2, 0.34],
    ];
    const y = [1, 1, 2, 2, 0, 0, 0, 1];
    const images: Scored[] = p.map((row, i) => ({
      truth: String(y[i]),
      scores: row.map((score, label) => ({ label: String(label), score })),
    }));
    expect(brierScore(images)).toBeCloseTo(0.60855, 12);
    expect(negativeLogLikelihood(images)).toBeCloseTo(0.9597940071691237, 12);
  });
});
