import { expect, test } from 'vitest';
import { asEmbeddings } from '../../src/domain/embeddings.js';
import { commonImages } from '../../src/evaluate/compare-sides.js';
import { pixelImages } from '../build/pixel-encoder.js';

const images = pixelImages({ count: 4 });

/** The images at these places, each with a vector of its own along one of two axes. */
function embedded(places: readonly number[], sign: 1 | -1): Parameters<typeof commonImages>[0] {
  const chosen = places.flatMap((place) => images[place] ?? []);
  const values = Float32Array.from(places.flatMap((place) => (place % 2 === 0 ? [sign, 0] : [0, sign])));
  return { images: chosen, embeddings: asEmbeddings(values, 2) };
}

test('images that only one could decode are left out, and each keeps its own row', () => {
  const common = commonImages(embedded([0, 1, 2], 1), embedded([1, 2, 3], -1));
  expect(common.images.map(({ id }) => id)).toEqual([images[1]?.id, images[2]?.id]);
  expect([...common.a.values]).toEqual([0, 1, 1, 0]);
  expect([...common.b.values].map((value) => value + 0)).toEqual([0, -1, -1, 0]);
  expect(common.left).toBe(2);
});

test('nothing in common is an error', () => {
  expect(() => commonImages(embedded([0], 1), embedded([1], 1))).toThrow(
    expect.objectContaining({ code: 'dataset_invalid' }) as Error,
  );
});
