import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/domain/seeded-random.js';
import {
  basicInterval,
  bootstrap,
  bootstrapDifference,
  bootstrapEach,
  bootstrapMean,
  drawAgain,
  shareInterval,
  wilsonInterval,
} from '../../../src/evaluate/metrics/intervals.js';

describe("Wilson's interval of a share", () => {
  it('is where the share is as far off as its own standard error allows: the roots of the test that it inverts', () => {
    const { low, high } = wilsonInterval(7, 30);
    for (const root of [low, high]) {
      expect(Math.abs(7 / 30 - root) / Math.sqrt((root * (1 - root)) / 30)).toBeCloseTo(1.959963984540054, 9);
    }
  });

  it('is none for no images, and that of the true ones of a list', () => {
    expect(wilsonInterval(0, 0)).toEqual({ low: NaN, high: NaN });
    expect(shareInterval([true, false, true])).toEqual(wilsonInterval(2, 3));
  });
});

describe('bootstrap', () => {
  it('has the middle of the means as its interval', () => {
    // 80 of 100: the share's standard error is sqrt(0.8 x 0.2 / 100) = 0.04, so 0.8 -+ 1.96 x 0.04.
    const values = Array.from({ length: 100 }, (_, i) => (i < 80 ? 1 : 0));
    const { low, high } = bootstrapMean(values, { random: seededRandom(1), resamples: 20_000 });
    expect(low).toBeCloseTo(0.7216, 1);
    expect(Math.abs(low - 0.7216)).toBeLessThan(0.012);
    expect(Math.abs(high - 0.8784)).toBeLessThan(0.012);
  });

  it('gives the same interval for the same seed', () => {
    const run = (seed: number): object => bootstrapMean([1, 2, 3, 4, 5], { random: seededRandom(seed) });
    expect(run(1)).toEqual(run(1));
  });

  it('takes out what two measurements have in common', () => {
    // Wildly different values, the second always 0.1 below the first: the difference is certain.
    const a = Array.from({ length: 50 }, (_, i) => i);
    const b = a.map((value) => value - 0.1);
    const { low, high } = bootstrapDifference(a, b, { random: seededRandom(2) });
    expect(low).toBeCloseTo(0.1, 9);
    expect(high).toBeCloseTo(0.1, 9);
  });

  it('covers the truth about as often as it says', () => {
    const random = seededRandom(11);
    let covered = 0;
    for (let trial = 0; trial < 400; trial++) {
      const values = Array.from({ length: 200 }, () => (random() < 0.3 ? 1 : 0));
      const { low, high } = bootstrapMean(values, { random, resamples: 200 });
      if (low <= 0.3 && 0.3 <= high) covered++;
    }
    // 380 expected, standard deviation 4.4; the percentile interval is a little narrow.
    expect(covered).toBeGreaterThan(360);
    expect(covered).toBeLessThan(396);
  });

  it('takes quantiles between ranks as numpy does, and any level', () => {
    // np.quantile([0, 1, ..., 9], [0.1, 0.9]) = [0.9, 8.1]
    let next = 0;
    const { low, high } = bootstrap(() => next++, { resamples: 10, level: 0.8 });
    expect(low).toBeCloseTo(0.9, 12);
    expect(high).toBeCloseTo(8.1, 12);
  });

  it('has an interval for each of several figures of the same draws', () => {
    // np.quantile([0, 1, ..., 9], [0.1, 0.9]) = [0.9, 8.1]; the other falls from 0 to -9.
    let next = 0;
    const draw = () => ({ up: next, down: -next++ });
    const { up, down } = bootstrapEach(['up', 'down'], draw, { resamples: 10, level: 0.8 });
    expect([up.low, up.high, down.low, down.high]).toEqual(
      [0.9, 8.1, -8.1, -0.9].map((value) => expect.closeTo(value, 12) as number),
    );
  });

  it('turns draws around where drawing lifts the figure, never past the figure', () => {
    expect(basicInterval(5, { low: 4, high: 7 })).toEqual({ low: 3, high: 6 });
    expect(basicInterval(1, { low: 1.5, high: 4 })).toEqual({ low: -2, high: 1 });
  });

  it('draws as many as there are, some twice and some not at all', () => {
    const drawn = drawAgain([...Array(1_000).keys()], seededRandom(3));
    expect(drawn).toHaveLength(1_000);
    // 1 - 1/e of them on average.
    expect(new Set(drawn).size).toBeGreaterThan(590);
    expect(new Set(drawn).size).toBeLessThan(680);
  });

  it('has no interval for no values', () => {
    expect(bootstrapMean([], { random: seededRandom(1) })).toEqual({ low: NaN, high: NaN });
  });
});
