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
    // Two in 2^4.
    expect(mcnemar({ onlyFirstRight: 0, onlySecondRight: 4 })).toMatchObject({
      exactP: expect.closeTo(1 / 8, 12) as number,
    });
  });

  it.each([
    // scipy 1.10.1: binomtest(b, b + c).pvalue
    [10, 3, 0.09228515625],
    [121, 59, 4.4344492637551645e-6],
    [40, 60, 0.05688793364098088],
    [600, 500, 0.002819544991436429],
  ])('agrees with scipy for %i against %i', (b, c, exactP) => {
    expect(mcnemar({ onlyFirstRight: b, onlySecondRight: c }).exactP / exactP).toBeCloseTo(1, 9);
  });

  it('finds no difference where there is none', () => {
    for (const both of [0, 1, 50]) {
      expect(mcnemar({ onlyFirstRight: both, onlySecondRight: both })).toMatchObject({
        exactP: 1,
      });
    }
  });
});
