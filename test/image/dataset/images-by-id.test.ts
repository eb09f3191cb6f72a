import { describe, expect, it } from 'vitest';
import { imagesById } from '../../../src/image/dataset/images-by-id.js';
import { pixelDataset } from '../../build/pixel-encoder.js';

describe('images by id', () => {
  const dataset = pixelDataset({ count: 6 });

  it('come in the order of the ids, whatever the order of the dataset', async () => {
    const ids = ['light/5', 'dark/0', 'light/3'];
    expect((await imagesById({ dataset, ids, place: 'photos' })).map(({ id }) => id)).toEqual(ids);
  });

  it('that are not there are counted and the first is named', async () => {
    const ids = ['dark/0', 'dark/8', 'dark/9'];
    await expect(imagesById({ dataset, ids, place: 'photos' })).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: 'Expected 3 images by id in photos but 2 are not there, the first: dark/8',
    });
  });
});
