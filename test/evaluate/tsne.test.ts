import { expect, test } from 'vitest';
import { asEmbeddings } from '../../src/domain/embeddings.js';
import { tsneMap } from '../../src/evaluate/page/map.js';
import { onCircle } from '../neighbours/unit-vectors.js';

const distance = (map: Float32Array, i: number, j: number): number =>
  Math.hypot((map[2 * i] ?? NaN) - (map[2 * j] ?? NaN), (map[2 * i + 1] ?? NaN) - (map[2 * j + 1] ?? NaN));

/** 30 around 0 degrees, 30 around 90. */
const twoClusters = onCircle(Array.from({ length: 60 }, (_, i) => (i < 30 ? 0 : 90) + (i % 30) / 3));

test('two clusters stay apart: every point is nearer to all of its own than to any other', async () => {
  const map = await tsneMap(twoClusters, { seed: 3 });
  expect(map.length).toBe(120);
  for (let i = 0; i < 60; i++) {
    const own: number[] = [];
    const other: number[] = [];
    for (let j = 0; j < 60; j++) if (j !== i) (i < 30 === j < 30 ? own : other).push(distance(map, i, j));
    expect(Math.max(...own)).toBeLessThan(Math.min(...other));
  }
});

test('the same seed gives the same map, another seed another', async () => {
  const map = await tsneMap(twoClusters, { seed: 3 });
  expect(await tsneMap(twoClusters, { seed: 3 })).toEqual(map);
  expect(await tsneMap(twoClusters, { seed: 4 })).not.toEqual(map);
});

test('a point as far from fifty duplicates as they are many still has its place', async () => {
  const map = await tsneMap(onCircle([...Array.from({ length: 50 }, () => 0), 120]), { seed: 0 });
  expect(map.every(Number.isFinite)).toBe(true);
});

test.each([1, 2, 3])('%i points make a map of as many', async (count) => {
  const map = await tsneMap(onCircle(Array.from({ length: count }, (_, i) => 40 * i)), { seed: 0 });
  expect(map.length).toBe(2 * count);
  expect(map.every(Number.isFinite)).toBe(true);
});

test('no points make an empty map', async () => {
  expect(await tsneMap(asEmbeddings(new Float32Array(0), 2), { seed: 0 })).toEqual(new Float32Array(0));
});
