import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/domain/seeded-random.js';
import { mixBatch, type SoftBatch } from '../../../src/train/augment/mix.js';
import { draws } from './images.js';

/** Two views of 2 x 2, all 0 and all 200, of labels 0 and 1. */
const two: SoftBatch = {
  pixels: Uint8Array.from({ length: 24 }, (_, i) => (i < 12 ? 0 : 200)),
  labels: Float32Array.of(1, 0, 0, 1),
  views: 2,
  size: 2,
};

describe('mixup', () => {
  it('blends pixels and label rows in one proportion', () => {
    // alpha 1: 0.3 and 0.1 make Beta's sample 0.3 / 0.4; the shuffle's draw of 0 swaps the two.
    const mixed = mixBatch(two, { kind: 'mixup', alpha: 1, probability: 1 }, draws(0, 0.3, 0.1, 0));
    expect([...mixed.pixels]).toEqual([...Array<number>(12).fill(50), ...Array<number>(12).fill(150)]);
    expect([...mixed.labels]).toEqual([0.75, 0.25, 0.25, 0.75]);
    expect([...two.labels]).toEqual([1, 0, 0, 1]);
  });

  it('leaves a batch alone when the draw is not below its probability', () => {
    expect(mixBatch(two, { kind: 'mixup', alpha: 1, probability: 0.5 }, draws(0.5))).toBe(two);
  });
});

describe('cutmix', () => {
  it('pastes a box of the other view, and counts labels by its area', () => {
    // Kept 0.7, so the side is floor(2 sqrt(0.3)) = 1; around column 1 and row 0.
    const options = { kind: 'cutmix', alpha: 1, probability: 1 } as const;
    const mixed = mixBatch(two, options, draws(0, 0.35, 0.15, 0, 0.5, 0));
    expect([...mixed.pixels.subarray(0, 12)]).toEqual([0, 0, 0, 200, 200, 200, 0, 0, 0, 0, 0, 0]);
    expect([...mixed.pixels.subarray(12)]).toEqual([200, 200, 200, 0, 0, 0, 200, 200, 200, 200, 200, 200]);
    expect([...mixed.labels]).toEqual([0.75, 0.25, 0.25, 0.75]);
  });

  it('gives label rows that add up to one and say how many pixels are whose', () => {
    const size = 16;
    const views = 6;
    const batch: SoftBatch = {
      // Each view is its own number all over, so that each pixel tells where it comes from.
      pixels: Uint8Array.from({ length: views * size * size * 3 }, (_, i) =>
        Math.floor(i / (size * size * 3)),
      ),
      labels: Float32Array.from({ length: views * views }, (_, i) => (i % (views + 1) === 0 ? 1 : 0)),
      views,
      size,
    };
    const random = seededRandom(3);
    for (let round = 0; round < 50; round++) {
      const { pixels, labels } = mixBatch(batch, { kind: 'cutmix', alpha: 0.7, probability: 1 }, random);
      for (let view = 0; view < views; view++) {
        const counted = new Float32Array(views);
        const own = pixels.subarray(view * size * size * 3, (view + 1) * size * size * 3);
        for (let i = 0; i < own.length; i += 3) {
          const from = own[i] ?? 0;
          counted[from] = (counted[from] ?? 0) + 1 / (size * size);
        }
        const row = labels.subarray(view * views, (view + 1) * views);
        for (const [label, share] of counted.entries()) expect(row[label]).toBeCloseTo(share, 5);
      }
    }
  });
});

describe('the share that is kept', () => {
  it.each([0.2, 1, 2])('has the mean and variance of Beta(%d, %d)', (alpha) => {
    const random = seededRandom(11);
    const shares = Array.from({ length: 20_000 }, () => {
      const { labels } = mixBatch(two, { kind: 'mixup', alpha, probability: 1 }, random);
      return labels[0] ?? NaN;
    }).filter((share) => share < 1); // where a view is its own partner, its label stays whole
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    const variance = shares.reduce((sum, share) => sum + (share - mean) ** 2, 0) / shares.length;
    expect(mean).toBeCloseTo(0.5, 1);
    expect(variance).toBeCloseTo(1 / (4 * (2 * alpha + 1)), 1.7);
  });
});
