import { describe, expect, it } from 'vitest';
import { binOf, quantileBins } from '../../src/vote/bins.js';

describe('bins', () => {
  it('hold the same number of values each', () => {
    const bins = quantileBins([8, 1, 2, 7, 3, 6, 4, 5], 4);
    expect(bins).toEqual({ edges: [3, 5, 7], counts: [2, 2, 2, 2] });
  });

  it('put a value on an edge into the bin above it', () => {
    expect([2.9, 3, 6.9, 7, 100].map((value) => binOf([3, 5, 7], value))).toEqual([0, 1, 2, 3, 3]);
  });

  it('are fewer where values are equal, and count every value', () => {
    expect(quantileBins([1, 1, 1, 1, 1, 1, 2, 3], 4)).toEqual({ edges: [2], counts: [6, 2] });
    expect(quantileBins([1, 1, 1], 10)).toEqual({ edges: [], counts: [3] });
  });
});
