import { describe, expect, it } from 'vitest';
import { countValues, emptyHistogram, rangeOf } from '../../../src/encoder/quantise/histogram.js';
import { seededRandom } from '../folder.js';

function histogramOf(batches: readonly Float32Array[], bounds: { lower?: number; upper?: number } = {}) {
  const histogram = emptyHistogram();
  for (const batch of batches) countValues(histogram, batch, bounds);
  return histogram;
}

/** Half a million values, most of them below 1 and a few far away. */
function longTailed(): Float32Array[] {
  const random = seededRandom(3);
  return Array.from({ length: 50 }, () =>
    Float32Array.from({ length: 10_000 }, () => (random() < 1e-5 ? 40 : random() * random())),
  );
}

describe('the range of a value', () => {
  it('is by min-max all that came, in whatever order it came, and holds 0', () => {
    const batches = [[0.5, 2], [-3, 900], [1e-6]].map((values) => Float32Array.from(values));
    expect(rangeOf(histogramOf(batches), 'min-max')).toEqual({ least: -3, most: 900 });
    expect(rangeOf(histogramOf(batches.toReversed()), 'min-max')).toEqual({ least: -3, most: 900 });
    expect(rangeOf(histogramOf([Float32Array.of(5, 6)]), 'min-max')).toEqual({ least: 0, most: 6 });
  });

  it('ends at the bounds of a ReLU or Clip', () => {
    const values = [Float32Array.of(-4, 2, 9)];
    expect(rangeOf(histogramOf(values, { lower: 0, upper: 6 }), 'min-max')).toEqual({ least: 0, most: 6 });
  });

  it('is by percentile where 99.99 % of the values end, to the width of a bin', () => {
    const batches = longTailed();
    const sorted = batches.flatMap((batch) => [...batch]).sort((a, b) => a - b);
    const expected = sorted[Math.floor(0.9999 * sorted.length)] ?? NaN;
    const { least, most } = rangeOf(histogramOf(batches), 'percentile');
    expect(least).toBe(0);
    expect(Math.abs(most - expected)).toBeLessThan(64 / 4096 + 0.001);
  });

  it('is by squared error what loses least to steps and clipping, of ranges tried one by one', () => {
    const random = seededRandom(9);
    const values = Float32Array.from({ length: 8_000 }, (_, i) =>
      i % 2_000 === 0 ? 40 : 10 * random() * random(),
    );
    const loss = (most: number): number => {
      let sum = 0;
      for (const value of values) {
        const step = most / 255;
        sum += (value - Math.min(most, Math.round(value / step) * step)) ** 2;
      }
      return sum;
    };
    const { most } = rangeOf(histogramOf([values]), 'squared-error');
    const tried = Array.from({ length: 49 }, (_, i) => (40 * (16 + i)) / 64);
    expect(loss(most)).toBeLessThan(1.05 * Math.min(...tried.map(loss)));
  });

  it('is by entropy less than all for a long tail, and all for an even spread', () => {
    const random = seededRandom(5);
    const even = Float32Array.from({ length: 16_000 }, () => random());
    expect(rangeOf(histogramOf(longTailed()), 'entropy').most).toBeLessThan(20);
    expect(rangeOf(histogramOf([even]), 'entropy').most).toBeGreaterThan(0.95);
  });

  it('is nothing where nothing but 0 came', () => {
    for (const method of ['min-max', 'percentile', 'entropy', 'squared-error'] as const) {
      expect(rangeOf(histogramOf([new Float32Array(100)]), method)).toEqual({ least: 0, most: 0 });
    }
  });
});
