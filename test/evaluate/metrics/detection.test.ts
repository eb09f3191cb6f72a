import { describe, expect, it } from 'vitest';
import {
  auprc,
  auroc,
  falsePositivesAt,
  rocCurve,
  thinCurve,
} from '../../../src/evaluate/metrics/detection.js';

/*
 * scikit-learn 1.2.1, scores rounded so that they tie, the generator of probability.test.ts going on:
 *   known = np.round(rng.normal(.7, .2, 20), 1); unknown = np.round(rng.normal(.4, .2, 12), 1)
 *   y = np.r_[np.ones(20), np.zeros(12)]; s = np.r_[known, unknown]
 *   fpr, tpr, thresholds = roc_curve(y, s, drop_intermediate=False)
 *   roc_auc_score(y, s), average_precision_score(y, s), fpr[np.argmax(tpr >= .95)], thresholds[np.argmax(tpr >= .95)]
 */
const known = [
  0.8, 0.5, 0.6, 0.5, 0.5, 0.7, 0.5, 0.8, 0.8, 1.1, 0.4, 0.9, 0.7, 0.7, 0.4, 0.6, 0.8, 0.7, 0.7, 0.6,
];
const unknown = [0.6, 0.4, -0, 0.3, 0, -0.3, 0.3, 0.7, 0.4, 0.2, 0.2, 0.6];

describe('telling known from unknown', () => {
  it('has the ROC of scikit-learn', () => {
    const curve = rocCurve({ known, unknown });
    const close = (values: readonly number[]): number[] =>
      values.map((value) => expect.closeTo(value, 12) as number);
    expect(curve.map(({ falsePositives }) => falsePositives)).toEqual(
      close([0, 0, 0, 0, 1 / 12, 0.25, 0.25, 5 / 12, 7 / 12, 0.75, 11 / 12, 1]),
    );
    expect(curve.map(({ truePositives }) => truePositives)).toEqual(
      close([0, 0.05, 0.1, 0.3, 0.55, 0.7, 0.9, 1, 1, 1, 1, 1]),
    );
  });

  it('has the areas and the operating point of scikit-learn', () => {
    expect(auroc({ known, unknown })).toBeCloseTo(0.88125, 12);
    expect(auprc({ known, unknown })).toBeCloseTo(0.904124649859944, 12);
    expect(falsePositivesAt({ known, unknown })).toEqual({
      atLeast: 0.95,
      threshold: 0.4,
      truePositives: 1,
      falsePositives: expect.closeTo(0.4166666666666667, 12) as number,
    });
  });

  it('is worked by hand: a tie counts half', () => {
    // 3 beats both; 1 ties with one and beats none: 2.5 of 4.
    expect(auroc({ known: [3, 1], unknown: [1, 2] })).toBe(2.5 / 4);
    expect(auroc({ known: [1, 1], unknown: [1, 1, 1] })).toBe(0.5);
    expect(auroc({ known: [2], unknown: [1] })).toBe(1);
  });

  it('keeps just as many known images as were asked for', () => {
    const scores = { known: [5, 4, 3, 2], unknown: [4.5, 2.5, 1] };
    expect(falsePositivesAt(scores, 0.75)).toMatchObject({ threshold: 3, falsePositives: 1 / 3 });
    expect(falsePositivesAt(scores, 0.76)).toMatchObject({ threshold: 2, falsePositives: 2 / 3 });
  });

  it('has no figures where either side has no images', () => {
    for (const scores of [
      { known: [], unknown: [1] },
      { known: [1], unknown: [] },
    ]) {
      expect(auroc(scores)).toBeNaN();
      expect(auprc(scores)).toBeNaN();
    }
    expect(falsePositivesAt({ known: [], unknown: [1] }).falsePositives).toBeNaN();
  });

  it('thins a curve to what can be drawn, both ends kept', () => {
    const many = Array.from({ length: 5_000 }, (_, i) => i);
    const curve = rocCurve({ known: many.map((i) => i + 1_000.5), unknown: many });
    const thin = thinCurve(curve, 100);
    expect(thin.length).toBeGreaterThan(50);
    expect(thin.length).toBeLessThanOrEqual(102);
    expect([thin[0], thin.at(-1)]).toEqual([curve[0], curve.at(-1)]);
  });
});
