import { describe, expect, it } from 'vitest';
import { type Dataset, type LabelledImage, countLabels } from '../../../src/image/dataset/dataset.js';
import { hash53, limitImages, limitPerClass } from '../../../src/image/dataset/sample.js';
import { idsOf, listed } from './folders.js';

function datasetOf(classes: Readonly<Record<string, number>>, order: 1 | -1 = 1): Dataset {
  const images: LabelledImage[] = Object.entries(classes).flatMap(([label, count]) =>
    Array.from({ length: count }, (_, i) => ({
      id: `${label}/${i}.png`,
      label,
      source: `${label}/${i}.png`,
      read: () => Promise.reject(new Error('sampling reads nothing')),
    })),
  );
  if (order === -1) images.reverse();
  return {
    name: 'drawn',
    size: images.length,
    labelCounts: countLabels(images.map(({ label }) => label)),
    async *images() {
      yield* await Promise.resolve(images);
    },
  };
}

const chosen = async (dataset: Dataset, maxPerClass: number, seed = 1) =>
  new Set(await idsOf(await limitPerClass(dataset, { maxPerClass, seed })));

describe('limitPerClass', () => {
  it('keeps at most that many of each label, in the order of the dataset', async () => {
    const dataset = datasetOf({ cat: 500, dog: 20, owl: 3 });
    const limited = await limitPerClass(dataset, { maxPerClass: 20, seed: 1 });
    expect(limited.size).toBe(43);
    expect([...limited.labelCounts]).toEqual([
      ['cat', 20],
      ['dog', 20],
      ['owl', 3],
    ]);
    const ids = await idsOf(limited);
    expect(ids).toHaveLength(43);
    const position = new Map((await idsOf(dataset)).map((id, i) => [id, i]));
    const positions = ids.map((id) => position.get(id) ?? NaN);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
    expect(countLabels((await listed(limited)).map(({ label }) => label))).toEqual(limited.labelCounts);
  });

  it('chooses the same whatever the order and whichever other classes there are', async () => {
    const alone = await chosen(datasetOf({ cat: 400 }), 30);
    expect(await chosen(datasetOf({ cat: 400 }, -1), 30)).toEqual(alone);
    const among = await chosen(datasetOf({ ant: 90, cat: 400, dog: 900 }), 30);
    expect(new Set([...among].filter((id) => id.startsWith('cat/')))).toEqual(alone);
  });

  it('chooses what it chose before, and more, when the limit grows', async () => {
    const dataset = datasetOf({ cat: 1000 });
    const more = await chosen(dataset, 200);
    for (const id of await chosen(dataset, 50)) expect(more.has(id)).toBe(true);
  });

  it('chooses others under another seed', async () => {
    const dataset = datasetOf({ cat: 1000 });
    const first = await chosen(dataset, 100, 1);
    expect(await chosen(dataset, 100, 1)).toEqual(first);
    const second = await chosen(dataset, 100, 2);
    // Two independent choices of 100 out of 1000 share 10; 30 would be seven standard deviations away.
    expect([...second].filter((id) => first.has(id)).length).toBeLessThan(30);
  });

  it('favours no part of the dataset', async () => {
    const ids = [...(await chosen(datasetOf({ cat: 4000 }), 1000))];
    const firstHalf = ids.filter((id) => Number(/\d+/.exec(id)?.[0]) < 2000).length;
    // 500 expected, standard deviation 14.
    expect(Math.abs(firstHalf - 500)).toBeLessThan(80);
  });

  it('changes nothing where no class is as large', async () => {
    const dataset = datasetOf({ cat: 5, dog: 7 });
    expect(await idsOf(await limitPerClass(dataset, { maxPerClass: 7, seed: 9 }))).toEqual(
      await idsOf(dataset),
    );
  });
});

describe('limitImages', () => {
  it('chooses that many in all, in the order of the dataset, and counts their labels', async () => {
    const dataset = datasetOf({ cat: 300, dog: 100 });
    const limited = await limitImages(dataset, { maxImages: 40, seed: 1 });
    const ids = await idsOf(limited);
    expect([limited.size, ids.length, new Set(ids).size]).toEqual([40, 40, 40]);
    const order = await idsOf(dataset);
    expect(ids).toEqual(order.filter((id) => ids.includes(id)));
    const cats = ids.filter((id) => id.startsWith('cat')).length;
    expect(Object.fromEntries(limited.labelCounts)).toEqual({ cat: cats, dog: 40 - cats });
    // 30 expected, standard deviation 2.6.
    expect(Math.abs(cats - 30)).toBeLessThan(14);
  });

  it('changes nothing where there are no more', async () => {
    const dataset = datasetOf({ cat: 5 });
    expect(await limitImages(dataset, { maxImages: 5, seed: 1 })).toBe(dataset);
  });
});

describe('hash53', () => {
  // From the reference implementation, https://github.com/bryc/code/blob/master/jshash/experimental/cyrb53.js
  it('gives the published values', () => {
    expect(hash53('a', 0)).toBe(7929297801672961);
    expect(hash53('b', 0)).toBe(8684336938537663);
    expect(hash53('revenge', 0)).toBe(4051478007546757);
    expect(hash53('revenue', 0)).toBe(8309097637345594);
    expect(hash53('revenue', 1)).toBe(8697026808958300);
  });
});
