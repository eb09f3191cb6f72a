import { describe, expect, it } from 'vitest';
import { populationStabilityIndex } from '../../src/server/drift-window.js';

describe('population stability index', () => {
  it('is 0 for the same shares of other totals', () => {
    expect(populationStabilityIndex([10, 20, 70], [1, 2, 7])).toBeCloseTo(0, 12);
  });

  it('is worked by hand', () => {
    // Shares 1/2, 1/2 against 1/4, 3/4: -1/4 ln(1/2) + 1/4 ln(3/2) = 1/4 ln 3.
    expect(populationStabilityIndex([5, 5], [1, 3])).toBeCloseTo(Math.log(3) / 4, 12);
    expect(populationStabilityIndex([1, 3], [5, 5])).toBeCloseTo(Math.log(3) / 4, 12);
  });

  it('stays finite where a bin is empty on one side', () => {
    // (1e-4 - 1/2) ln(1e-4 / (1/2)) + (1 - 1/2) ln(1 / (1/2))
    const expected = (1e-4 - 0.5) * Math.log(2e-4) + 0.5 * Math.LN2;
    expect(populationStabilityIndex([1, 1], [0, 2])).toBeCloseTo(expected, 12);
  });

  it('has no figure for no counts, and refuses other bins', () => {
    expect(populationStabilityIndex([1, 1], [0, 0])).toBeNaN();
    expect(() => populationStabilityIndex([1, 1], [1])).toThrow('Expected 2 bins');
  });
});
