import { describe, expect, it } from 'vitest';
import { seededRandom, seedOf } from '../../src/domain/seeded-random.js';

describe('the seed of a list of numbers', () => {
  it('differs in every part and its place: no two of 64,000 lists share one but by chance', () => {
    const seeds = new Set<number>();
    for (let seed = 0; seed < 2; seed++)
      for (let epoch = 0; epoch < 8; epoch++)
        for (let image = 0; image < 2000; image++)
          for (let view = 0; view < 2; view++) seeds.add(seedOf(seed, epoch, image, view));
    // 64,000 even draws of 2^32 collide 64,000^2 / 2^33 = 0.5 times on average.
    expect(seeds.size).toBeGreaterThanOrEqual(64_000 - 5);
  });

  it('begins independent streams: the first draws of neighbours are even and uncorrelated', () => {
    const first = Array.from({ length: 10_000 }, (_, image) => seededRandom(seedOf(1, 0, image, 0))());
    const mean = first.reduce((sum, draw) => sum + draw, 0) / first.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(4 * Math.sqrt(1 / 12 / first.length));
    const pairs = first.slice(1).map((draw, i) => (draw - 0.5) * ((first[i] ?? 0) - 0.5));
    const covariance = pairs.reduce((sum, product) => sum + product, 0) / pairs.length;
    expect(Math.abs(covariance)).toBeLessThan(4 / 12 / Math.sqrt(pairs.length));
  });
});
