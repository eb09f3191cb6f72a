import { describe, expect, it } from 'vitest';
import { everyImageById, imagesById } from '../../../src/image/dataset/dataset.js';
import { pixelDataset } from '../../build/pixel-encoder.js';

describe('images by id', () => {
  const dataset = pixelDataset({ count: 6 });

  it('come in the order of the ids, whatever the order of the dataset', async () => {
    const ids = ['light/5', 'dark/0', 'light/3'];
    expect((await everyImageById({ dataset, ids, place: 'photos' })).map(({ id }) => id)).toEqual(ids);
  });

  it('may be fewer than the ids', async () => {
    const found = await imagesById(dataset, ['dark/9', 'light/5', 'dark/0', 'light/5']);
    expect([...found].map(([id, image]) => [id, image.id])).toEqual([
      ['dark/0', 'dark/0'],
      ['light/5', 'light/5'],
    ]);
  });

  it('that are not there are counted and the first is named', async () => {
    const ids = ['dark/0', 'dark/8', 'dark/9'];
    await expect(everyImageById({ dataset, ids, place: 'photos' })).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: 'Expected 3 images by id in photos but 2 are not there, the first: dark/8',
    });
  });
});
