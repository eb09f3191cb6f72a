import { describe, expect, it } from 'vitest';
import { type Dataset, countLabels } from '../../../src/image/dataset/dataset.js';
import { holdOut } from '../../../src/image/dataset/sample.js';
import { idsOf } from './folders.js';

function drawn(counts: Readonly<Record<string, number>>): Dataset {
  const images = Object.entries(counts).flatMap(([label, count]) =>
    Array.from({ length: count }, (_, i) => ({ id: `${label}/${i}`, label })),
  );
  return {
    name: 'drawn',
    size: images.length,
    labelCounts: countLabels(images.map(({ label }) => label)),
    async *images() {
      for (const image of images) {
        yield await Promise.resolve({
          ...image,
          source: image.id,
          read: () => Promise.reject(new Error('unread')),
        });
      }
    },
  };
}

describe('holding images out', () => {
  const dataset = drawn({ a: 100, b: 40, c: 3, d: 2 });

  it('splits every class in the same proportion, at least one held and two kept', async () => {
    const { kept, held } = await holdOut(dataset, { share: 0.1, seed: 1 });
    expect(Object.fromEntries(held.labelCounts)).toEqual({ a: 10, b: 4, c: 1 });
    expect(Object.fromEntries(kept.labelCounts)).toEqual({ a: 90, b: 36, c: 2, d: 2 });
    expect([kept.size, held.size]).toEqual([130, 15]);
  });

  it('puts every image on one side, in the order of the dataset', async () => {
    const { kept, held } = await holdOut(dataset, { share: 0.3, seed: 1 });
    const [all, left, right] = await Promise.all([idsOf(dataset), idsOf(kept), idsOf(held)]);
    expect([left.length, right.length]).toEqual([kept.size, held.size]);
    const taken = new Set(right);
    expect(left).toEqual(all.filter((id) => !taken.has(id)));
    expect(right).toEqual(all.filter((id) => taken.has(id)));
  });

  it('chooses by the seed alone', async () => {
    const choose = async (seed: number) => idsOf((await holdOut(dataset, { share: 0.2, seed })).held);
    expect(await choose(1)).toEqual(await choose(1));
    expect(await choose(1)).not.toEqual(await choose(2));
  });
});
