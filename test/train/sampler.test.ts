import { describe, expect, it } from 'vitest';
import { createSampler, placeAfter, type BatchPlace, type Sampler } from '../../src/train/sampler.js';

/** 50 images of class 0, 7 of class 1, 3 of class 2. */
const labels = Int32Array.from({ length: 60 }, (_, i) => (i < 50 ? 0 : i < 57 ? 1 : 2));
const common = { labels, classes: 3, seed: 9 };

const epochOf = (sampler: Sampler, epoch: number): number[] =>
  Array.from({ length: sampler.batchesPerEpoch }, (_, step) => [...sampler.batch({ epoch, step })]).flat();

describe('plain sampling', () => {
  const sampler = createSampler({ ...common, kind: 'plain', batch: 8 });

  it('takes every image at most once an epoch, in whole batches', () => {
    expect(sampler.batchesPerEpoch).toBe(7);
    const images = epochOf(sampler, 0);
    expect(images).toHaveLength(56);
    expect(new Set(images).size).toBe(56);
    expect(images.every((image) => image >= 0 && image < 60)).toBe(true);
  });

  it('shuffles each epoch anew, and leaves others out in time', () => {
    expect(epochOf(sampler, 1)).not.toEqual(epochOf(sampler, 0));
    const seen = new Set(Array.from({ length: 10 }, (_, epoch) => epochOf(sampler, epoch)).flat());
    expect(seen.size).toBe(60);
  });

  it('puts every image at every place equally often', () => {
    const few = createSampler({ labels: labels.slice(0, 4), classes: 1, kind: 'plain', batch: 4, seed: 1 });
    const first = [0, 0, 0, 0];
    for (let epoch = 0; epoch < 4000; epoch++) {
      const image = few.batch({ epoch, step: 0 })[0] ?? 0;
      first[image] = (first[image] ?? 0) + 1;
    }
    // 1000 each, give or take four standard deviations.
    for (const count of first) expect(Math.abs(count - 1000)).toBeLessThan(4 * Math.sqrt(4000 * 0.25 * 0.75));
  });
});

describe('balanced sampling', () => {
  const sampler = createSampler({ ...common, kind: 'balanced', batch: 9 });

  it('takes every class equally often in every batch that the classes divide', () => {
    for (let step = 0; step < sampler.batchesPerEpoch; step++) {
      const counts = [0, 0, 0];
      for (const image of sampler.batch({ epoch: 3, step })) {
        const label = labels[image] ?? 0;
        counts[label] = (counts[label] ?? 0) + 1;
      }
      expect(counts).toEqual([3, 3, 3]);
    }
  });

  it('takes every image of a class before one comes again', () => {
    const smallest = epochOf(sampler, 0).filter((image) => labels[image] === 2);
    for (let at = 0; at + 3 <= smallest.length; at += 3) {
      expect(smallest.slice(at, at + 3).sort()).toEqual([57, 58, 59]);
    }
    const largest = epochOf(sampler, 0).filter((image) => labels[image] === 0);
    expect(new Set(largest).size).toBe(largest.length);
  });
});

describe.each(['plain', 'balanced'] as const)('%s sampling', (kind) => {
  const make = (seed = 9) => createSampler({ ...common, kind, batch: 9, seed });

  it('goes on anywhere exactly, whatever was asked before', () => {
    const through = make();
    const places: BatchPlace[] = [{ epoch: 0, step: 0 }];
    while (places.length < 20) {
      places.push(placeAfter(places.at(-1) ?? { epoch: 0, step: 0 }, through.batchesPerEpoch));
    }
    const all = places.map((place) => [...through.batch(place)]);
    for (const [i, place] of places.entries()) expect([...make().batch(place)]).toEqual(all[i]);
  });

  it('depends on the seed', () => {
    const place = { epoch: 0, step: 0 };
    expect([...make(1).batch(place)]).not.toEqual([...make(2).batch(place)]);
  });

  it('refuses fewer images than a batch takes', () => {
    expect(() => createSampler({ ...common, kind, batch: 61 })).toThrow(
      'Expected at least one batch of 61 images but received 60',
    );
  });
});

describe('the place after', () => {
  it('is the next step, or the first of the next epoch', () => {
    expect(placeAfter({ epoch: 2, step: 3 }, 5)).toEqual({ epoch: 2, step: 4 });
    expect(placeAfter({ epoch: 2, step: 4 }, 5)).toEqual({ epoch: 3, step: 0 });
  });
});
