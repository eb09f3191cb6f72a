import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  fitConfidence,
  fitIsotonic,
  fitLogistic,
  fitSigmoid,
  type Answered,
} from '../../src/calibrate/fit-confidence.js';
import { confidenceOf } from '../../src/vote/confidence.js';
import { seededRandom } from '../neighbours/unit-vectors.js';

/*
 * The reference values are scikit-learn 1.2.1's and scipy's on these answers:
 *   x = [0.2, 0.3, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6, 0.8, 0.9, 1, 1]; y = [0, 1, 0, 0, 1, 0, 1, 1, 1, 0, 1, 1]
 *   IsotonicRegression().fit(x, y): X_thresholds_, y_thresholds_
 *   s = clip(x, 1e-3, 1 - 1e-3); l = log(s / (1 - s)); t = where(y == 1, 8 / 9, 1 / 7)
 *   minimize(lambda w: sum(logaddexp(0, w[0] * l + w[1]) - t * (w[0] * l + w[1])), [0, 0], method='Nelder-Mead')
 */
const shares = [0.2, 0.3, 0.3, 0.4, 0.5, 0.6, 0.6, 0.6, 0.8, 0.9, 1, 1];
const right = [0, 1, 0, 0, 1, 0, 1, 1, 1, 0, 1, 1];
/** Its neighbours and directions say nothing. */
const bare = (share: number, correct = true): Answered => ({
  ...{ share, correct },
  ...{ meanSimilarity: 0.5, kthSimilarity: 0.5, margin: 0 },
});
const answers = shares.map((share, i) => bare(share, right[i] === 1));

/** Answers that are right as often as `truth` of their share says. */
function drawn(count: number, truth: (share: number) => number): Answered[] {
  const random = seededRandom(7);
  return Array.from({ length: count }, () => {
    const share = random();
    return bare(share, random() < truth(share));
  });
}

describe('the isotonic fit', () => {
  it("has scikit-learn's points, its ends 1 / (n + 2) away from 0 and 1", () => {
    const map = fitIsotonic(answers.toReversed());
    expect(map.shares).toEqual([0.2, 0.3, 0.4, 0.5, 0.9, 1]);
    const expected = [1 / 14, 1 / 3, 1 / 3, 2 / 3, 2 / 3, 13 / 14];
    for (const [i, value] of expected.entries()) expect(map.probabilities[i]).toBeCloseTo(value, 12);
  });

  it('never falls, and has no share twice', () => {
    const anyAnswers = fc.array(
      fc.record({ share: fc.integer({ min: 0, max: 20 }).map((n) => n / 20), correct: fc.boolean() }),
      { minLength: 1, maxLength: 100 },
    );
    fc.assert(
      fc.property(anyAnswers, (list) => {
        const map = fitIsotonic(list);
        expect(map.probabilities).toEqual(map.probabilities.toSorted((a, b) => a - b));
        expect(map.shares).toEqual([...new Set(map.shares)].sort((a, b) => a - b));
      }),
    );
  });
});

describe('the sigmoid fit', () => {
  it("has scipy's slope and bias", () => {
    const { slope, bias } = fitSigmoid(answers);
    expect(slope).toBeCloseTo(0.27495336, 5);
    expect(bias).toBeCloseTo(0.0413843, 5);
  });

  it('is finite where all answers are right, or all have the same share', () => {
    const allRight = fitSigmoid([0.4, 0.6, 0.9].map((share) => bare(share)));
    expect(confidenceOf(allRight, bare(0.9))).toBeLessThan(1);
    // Three of four right, with Platt's targets: (3 x 4/5 + 1/3) / 4.
    const same = fitSigmoid([true, true, true, false].map((correct) => bare(1, correct)));
    expect(confidenceOf(same, bare(1))).toBeCloseTo((3 * (4 / 5) + 1 / 3) / 4, 6);
  });

  it('is level where answers with a larger share are right less often', () => {
    const map = fitSigmoid(drawn(500, (share) => 1 - share));
    expect(map.slope).toBe(0);
  });
});

/*
 * scikit-learn 1.9.1 on the features of featuresOf, standardised, with the targets t above:
 *   LogisticRegression(C=1, tol=1e-12, max_iter=10000).fit(r_[Z, Z], r_[ones(12), zeros(12)], sample_weight=r_[t, 1 - t])
 * and its weights back in the features' own units.
 */
describe('the logistic fit', () => {
  it("has scikit-learn's weights and bias", () => {
    const mean = [0.5, 0.55, 0.6, 0.7, 0.65, 0.5, 0.8, 0.75, 0.9, 0.6, 0.95, 0.85];
    const kth = [0.4, 0.5, 0.5, 0.6, 0.6, 0.4, 0.7, 0.7, 0.85, 0.5, 0.9, 0.8];
    const margins = [0.1, -0.05, 0.2, 0.1, 0.3, 0.15, 0.25, 0.4, 0.45, 0.05, 0.6, 0.5];
    const told = answers.map((answer, i) => ({
      ...answer,
      meanSimilarity: mean[i] ?? NaN,
      kthSimilarity: kth[i] ?? NaN,
      margin: margins[i] ?? NaN,
    }));
    const { weights, bias } = fitLogistic(told, []);
    const expected = [-0.0334204687, 0.3543997583, 0.8226677436, 0.9474926944, 3.3409101286];
    for (const [i, weight] of expected.entries()) expect(weights[i]).toBeCloseTo(weight, 5);
    expect(bias).toBeCloseTo(-1.445356, 5);
  });
});

describe('the choice of a map', () => {
  const order = Array.from({ length: 2_000 }, (_, i) => i);
  const directions = [{ label: 'a', direction: [1] }];

  it('recovers the truth that answers were drawn from', () => {
    const truth = (share: number): number => 1 / (1 + Math.exp(-(0.6 * Math.log(share / (1 - share)) + 1)));
    const { map, heldOut } = fitConfidence(drawn(2_000, truth), { order, directions });
    // Where the neighbours say nothing a logistic regression is a sigmoid of the share, too.
    expect(['temperature', 'logistic']).toContain(map.kind);
    for (const share of [0.2, 0.5, 0.8]) expect(confidenceOf(map, bare(share))).toBeCloseTo(truth(share), 1);
    expect(heldOut).toHaveLength(2_000);
  });

  it('is isotonic where no sigmoid has the shape', () => {
    const { map, losses } = fitConfidence(
      drawn(2_000, (share) => (share < 0.7 ? 0.5 : 0.98)),
      { order, directions },
    );
    expect(map.kind).toBe('isotonic');
    expect(losses.isotonic).toBeLessThan(losses.temperature);
  });

  it('gives each answer a confidence by a map that has not seen it', () => {
    // Alone in its fold: the map without it is fitted on the other four, all right.
    const five = [0.9, 0.9, 0.9, 0.9, 0.9].map((share, i) => bare(share, i > 1 && i < 4));
    const { heldOut } = fitConfidence(five, { order: [0, 1, 2, 3, 4], directions });
    expect(heldOut[0]).toBeGreaterThan(heldOut[2] ?? NaN);
  });

  it('is logistic where the neighbours know what the share does not', () => {
    const random = seededRandom(3);
    const told = Array.from({ length: 2_000 }, (): Answered => {
      const margin = random();
      return { ...bare(1, random() < 0.3 + 0.7 * margin), margin };
    });
    const { map, losses } = fitConfidence(told, { order, directions });
    expect(map.kind).toBe('logistic');
    expect(losses.logistic).toBeLessThan(losses.isotonic);
    for (const margin of [0.2, 0.5, 0.8]) {
      expect(confidenceOf(map, { ...bare(1), margin })).toBeCloseTo(0.3 + 0.7 * margin, 1);
    }
  });

  it('is the share as it is where that is the truth already', () => {
    const many = drawn(2_000, (share) => share);
    const { map, heldOut } = fitConfidence(many, { order, directions });
    // A fit of a few parameters comes as near as chance lets it: never noticeably worse.
    const lossOf = (confidences: readonly number[]): number =>
      many.reduce((sum, { correct }, i) => {
        const confidence = confidences[i] ?? NaN;
        return sum - Math.log(correct ? confidence : 1 - confidence);
      }, 0);
    expect(lossOf(heldOut)).toBeLessThanOrEqual(lossOf(many.map(({ share }) => share)));
    expect(confidenceOf(map, bare(0.4))).toBeCloseTo(0.4, 1);
    const allRight = Array.from({ length: 60 }, () => bare(1));
    expect(fitConfidence(allRight, { order: allRight.map((_, i) => i), directions }).map).toEqual({
      kind: 'share',
    });
  });
});
