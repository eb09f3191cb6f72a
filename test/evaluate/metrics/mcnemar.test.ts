import { describe, expect, it } from 'vitest';
import { disagreement, mcnemar } from '../../../src/evaluate/metrics/mcnemar.js';

describe("McNemar's test", () => {
  it('counts only images on which one is right and the other is not', () => {
    expect(disagreement([true, true, false, false, true], [true, false, true, false, false])).toEqual({
      onlyFirstRight: 2,
      onlySecondRight: 1,
    });
  });

  it('is worked by hand for four differences that all fall one way', () => {
    // 2 / 2^4, and (4 - 1)^2 / 4.
    expect(mcnemar({ onlyFirstRight: 0, onlySecondRight: 4 })).toMatchObject({
      exactP: expect.closeTo(1 / 8, 12) as number,
      chiSquare: 9 / 4,
    });
  });

  it.each([
    // scipy 1.10.1: binomtest(b, b + c).pvalue, x = (abs(b - c) - 1) ** 2 / (b + c), chi2.sf(x, 1)
    [10, 3, 0.09228515625, 2.769230769230769, 0.0960923294556734],
    [121, 59, 4.4344492637551645e-6, 20.67222222222222, 5.450094825427117e-6],
    [40, 60, 0.05688793364098088, 3.61, 0.05743311963200335],
    [600, 500, 0.002819544991436429, 8.91, 0.0028361326556546836],
  ])('agrees with scipy for %i against %i', (b, c, exactP, chiSquare, chiSquareP) => {
    const test = mcnemar({ onlyFirstRight: b, onlySecondRight: c });
    expect(test.exactP / exactP).toBeCloseTo(1, 9);
    expect(test.chiSquare).toBeCloseTo(chiSquare, 12);
    expect(test.chiSquareP / chiSquareP).toBeCloseTo(1, 9);
  });

  it('finds no difference where there is none', () => {
    for (const both of [0, 1, 50]) {
      expect(mcnemar({ onlyFirstRight: both, onlySecondRight: both })).toMatchObject({
        exactP: 1,
        chiSquare: 0,
        chiSquareP: 1,
      });
    }
  });
});
