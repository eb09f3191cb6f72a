import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  confidenceOf,
  featuresOf,
  marginOf,
  type ConfidenceMap,
  type Evidence,
} from '../../src/vote/confidence.js';

/** For maps that ask for the share alone. */
const evidence = (share: number): Evidence => ({
  share,
  meanSimilarity: NaN,
  kthSimilarity: NaN,
  margin: NaN,
});

describe('a confidence map', () => {
  it('leaves a share as it is with slope 1 and no bias, away from 0 and 1', () => {
    const map: ConfidenceMap = { kind: 'temperature', slope: 1, bias: 0 };
    expect(confidenceOf(map, evidence(0.3))).toBeCloseTo(0.3, 12);
    expect(confidenceOf(map, evidence(1))).toBeCloseTo(0.999, 12);
    expect(confidenceOf(map, evidence(0))).toBeCloseTo(0.001, 12);
  });

  it('takes odds to a power and scales them', () => {
    // Odds of 0.8 are 4; their root is 2, tripled 6: 6 / 7.
    const map: ConfidenceMap = { kind: 'temperature', slope: 0.5, bias: Math.log(3) };
    expect(confidenceOf(map, evidence(0.8))).toBeCloseTo(6 / 7, 12);
  });

  it('goes straight between points and is level outside them', () => {
    const map: ConfidenceMap = { kind: 'isotonic', shares: [0.4, 0.8], probabilities: [0.2, 0.6] };
    const expected = [0.2, 0.2, 0.3, 0.6, 0.6];
    for (const [i, share] of [0.1, 0.4, 0.5, 0.8, 1].entries()) {
      expect(confidenceOf(map, evidence(share))).toBeCloseTo(expected[i] ?? NaN, 12);
    }
  });

  it('never falls as the share rises, so the label with most of the vote stays on top', () => {
    const share = fc.double({ min: 0, max: 1, noNaN: true });
    const temperature = fc.record({
      kind: fc.constant('temperature' as const),
      slope: fc.double({ min: 0, max: 20, noNaN: true }),
      bias: fc.double({ min: -10, max: 10, noNaN: true }),
    });
    const isotonic = fc
      .tuple(
        fc.uniqueArray(share, { minLength: 1, maxLength: 20 }),
        fc.array(share, { minLength: 20, maxLength: 20 }),
      )
      .map(([shares, probabilities]) => ({
        kind: 'isotonic' as const,
        shares: shares.toSorted((a, b) => a - b),
        probabilities: probabilities.slice(0, shares.length).sort((a, b) => a - b),
      }));
    fc.assert(
      fc.property(fc.oneof(temperature, isotonic), share, share, (map, a, b) => {
        const low = confidenceOf(map, evidence(Math.min(a, b)));
        const high = confidenceOf(map, evidence(Math.max(a, b)));
        expect(low).toBeLessThanOrEqual(high);
        expect(low).toBeGreaterThanOrEqual(0);
        expect(high).toBeLessThanOrEqual(1);
      }),
    );
  });
});

describe('the evidence for a label', () => {
  it('is the logit of the share, the nearness of its neighbours, and the margin with its square', () => {
    const found = { share: 0.8, meanSimilarity: 0.75, kthSimilarity: 0.5, margin: -0.5 };
    const expected = [Math.log(4), Math.log(4), Math.log(2), -0.5, 0.25];
    for (const [i, feature] of featuresOf(found).entries())
      expect(feature).toBeCloseTo(expected[i] ?? NaN, 12);
    // Odds of 4 x 4 x 2, halved.
    const map: ConfidenceMap = {
      kind: 'logistic',
      weights: [1, 1, 1, 0, 0],
      bias: -Math.LN2,
      directions: [],
    };
    expect(confidenceOf(map, found)).toBeCloseTo(16 / 17, 12);
  });

  it('is finite where the neighbours are the image itself', () => {
    expect(featuresOf({ share: 1, meanSimilarity: 1, kthSimilarity: 1.0000001, margin: 1 })).toSatisfy(
      (features: number[]) => features.every(Number.isFinite),
    );
  });

  it('has as its margin the cosine to its own direction less that to the nearest other', () => {
    const directions = [
      { label: 'east', direction: [1, 0] },
      { label: 'north', direction: [0, 1] },
      { label: 'west', direction: [-1, 0] },
    ];
    const image = [0.6, 0.8];
    expect(marginOf(directions, 'north', image)).toBeCloseTo(0.2, 12);
    expect(marginOf(directions, 'east', image)).toBeCloseTo(-0.2, 12);
    expect(marginOf(directions, 'west', image)).toBeCloseTo(-1.4, 12);
  });
});
