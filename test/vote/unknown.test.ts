import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  familiarityOf,
  fewestToReject,
  foundOf,
  keptShareOf,
  pValueOf,
  thresholdOf,
} from '../../src/vote/unknown.js';

const familiarities = [0.5, 0.6, 0.7, 0.8];

describe('familiarity', () => {
  const found = foundOf([{ label: 'a', score: 0.75 }], Float32Array.of(0.5, 0.25));

  it('is the similarity to the k-th neighbour, or the top share of the vote', () => {
    expect(familiarityOf('similarity', found)).toBe(0.25);
    expect(familiarityOf('vote', found)).toBe(0.75);
    expect(found.meanSimilarity).toBe(0.375);
  });
});

describe('the fewest images with which one can be unknown', () => {
  it.each([
    [0.05, 20],
    [0.1, 10],
    [0.15, 6],
    [0.01, 100],
    [0.6, 1],
  ])('at epsilon %s is %i: one image less has no threshold', (epsilon, fewest) => {
    expect(fewestToReject(epsilon)).toBe(fewest);
    const test = (count: number): number | undefined =>
      thresholdOf({ rule: 'similarity', epsilon, familiarities: new Array<number>(count).fill(0.5) });
    expect(test(fewest)).toBe(0.5);
    expect(test(fewest - 1)).toBeUndefined();
  });
});

describe('the conformal p-value', () => {
  it('is (1 + images no more familiar) / (n + 1)', () => {
    expect(pValueOf({ familiarities }, 0.4)).toBe(1 / 5);
    expect(pValueOf({ familiarities }, 0.65)).toBe(3 / 5);
    expect(pValueOf({ familiarities }, 0.9)).toBe(1);
  });

  it('counts an equal score as at least as strange', () => {
    expect(pValueOf({ familiarities }, 0.6)).toBe(3 / 5);
  });

  it('is that of a naive count', () => {
    const score = fc.integer({ min: 0, max: 20 });
    fc.assert(
      fc.property(fc.array(score, { minLength: 1 }), score, (scores, one) => {
        const naive = (1 + scores.filter((each) => -each >= -one).length) / (scores.length + 1);
        const sorted = scores.toSorted((a, b) => a - b);
        expect(pValueOf({ familiarities: sorted }, one)).toBe(naive);
      }),
    );
  });

  it('rejects at most epsilon of exchangeable images: each left out of the others in turn', () => {
    // The mean over all choices of the next image is what the guarantee is about.
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.double({ noNaN: true }), { minLength: 2, maxLength: 60 }),
        fc.double({ min: 0.01, max: 0.9, noNaN: true }),
        (scores, epsilon) => {
          const rejected = scores.filter((one, i) => {
            const others = scores.filter((_, j) => j !== i).sort((a, b) => a - b);
            return pValueOf({ familiarities: others }, one) < epsilon;
          });
          expect(rejected.length / scores.length).toBeLessThanOrEqual(epsilon);
        },
      ),
    );
  });
});

describe('the threshold', () => {
  it('keeps the 95 % of a hundred images, and the one that the guarantee costs', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => i / 100);
    // p < 0.05 needs fewer than 0.05 x 101 - 1 = 4.05 images below: at most 4. The fifth is the threshold.
    const test = { rule: 'similarity', epsilon: 0.05, familiarities: hundred } as const;
    expect(thresholdOf(test)).toBe(0.04);
    expect(keptShareOf(test, 0.04)).toBeCloseTo(0.96, 12);
  });

  it('is none where so few images could reject nothing', () => {
    const test = (count: number) =>
      ({ rule: 'similarity', epsilon: 0.05, familiarities: new Array<number>(count).fill(1) }) as const;
    expect(thresholdOf(test(19))).toBeUndefined();
    expect(keptShareOf(test(19), undefined)).toBe(1);
    expect(thresholdOf(test(20))).toBe(1);
  });

  it('decides as the p-value does', () => {
    const score = fc.integer({ min: 0, max: 50 });
    fc.assert(
      fc.property(
        fc.array(score, { minLength: 1, maxLength: 200 }),
        fc.double({ min: 0.001, max: 0.999, noNaN: true }),
        score,
        (scores, epsilon, one) => {
          const test = { rule: 'vote', epsilon, familiarities: scores.sort((a, b) => a - b) } as const;
          const threshold = thresholdOf(test) ?? -Infinity;
          expect(one < threshold).toBe(pValueOf(test, one) < epsilon);
        },
      ),
    );
  });
});
