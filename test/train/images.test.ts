import { describe, expect, it } from 'vitest';
import type { Dataset } from '../../src/image/dataset/dataset.js';
import { openDataset } from '../../src/image/dataset/open-dataset.js';
import { channelStatistics } from '../../src/train/data.js';
import { loadTrainingImages } from '../../src/train/images.js';
import { folderOf, removeFoldersAfterEach } from '../image/dataset/folders.js';
import { scene, solid, type Colour } from '../image/drawing.js';
import { countingProgress } from './quiet-progress.js';

removeFoldersAfterEach();

const png = (colour: Colour, side = 20): Promise<Buffer> =>
  solid(colour, { width: side, height: side }).png().toBuffer();

async function load(dataset: Dataset, options: { inputSize?: number; storageSize?: number } = {}) {
  const progress = countingProgress();
  const images = await loadTrainingImages({
    dataset,
    fit: 'cover',
    kernel: 'cubic',
    inputSize: options.inputSize ?? 16,
    storageSize: options.storageSize,
    progress,
  });
  return { images, progress };
}

const open = async (files: Readonly<Record<string, Uint8Array | string>>): Promise<Dataset> =>
  openDataset(await folderOf(files), { split: 'train' });

describe('loading the images to train on', () => {
  it('decodes them once, in order, with their labels as places in a sorted list', async () => {
    const dataset = await open({
      'red/a.png': await png([200, 0, 0]),
      'red/b.png': await png([190, 0, 0]),
      'blue/c.png': await png([0, 0, 220]),
      'blue/d.png': await png([0, 0, 210]),
    });
    const { images, progress } = await load(dataset);
    expect(images).toMatchObject({ count: 4, labelNames: ['blue', 'red'], rejected: [] });
    expect([...images.labels]).toEqual([0, 0, 1, 1]);
    expect(images.ids).toEqual(['blue/c.png', 'blue/d.png', 'red/a.png', 'red/b.png']);
    // A little more than the crop of 16.
    expect(images.side).toBe(19);
    const imageBytes = 19 * 19 * 3;
    const firstOf = (image: number) => [...new Uint8Array(images.pixels, image * imageBytes, 3)];
    expect([0, 1, 2, 3].map(firstOf)).toEqual([
      [0, 0, 220],
      [0, 0, 210],
      [200, 0, 0],
      [190, 0, 0],
    ]);
    expect(progress.advanced).toBe(4);
  });

  it('stores as large as it is told', async () => {
    const dataset = await open({
      'a/1.png': await png([1, 1, 1]),
      'a/2.png': await png([1, 1, 1]),
      'b/1.png': await png([1, 1, 1]),
      'b/2.png': await png([1, 1, 1]),
    });
    expect((await load(dataset, { storageSize: 24 })).images.side).toBe(24);
    await expect(load(dataset, { storageSize: 12 })).rejects.toMatchObject({ code: 'dataset_invalid' });
  });

  it('keeps raw pixels as they are', async () => {
    const record = (label: number): Buffer =>
      Buffer.concat([Buffer.of(label), Buffer.alloc(3072, 10 * label)]);
    const dataset = await open({ 'data_batch_1.bin': Buffer.concat([3, 4, 3, 4].map(record)) });
    const { images } = await load(dataset, { inputSize: 32 });
    expect([images.side, images.count]).toEqual([32, 4]);
    expect(images.labelNames).toEqual(['cat', 'deer']);
    expect([0, 1, 2, 3].map((image) => new Uint8Array(images.pixels)[image * 3072])).toEqual([
      30, 40, 30, 40,
    ]);
    await expect(load(dataset, { inputSize: 64 })).rejects.toThrow(
      'Expected images of at least 64 pixels, the size of the crop, but cifar10 (train) is stored at 32',
    );
  });

  it('leaves out what cannot be decoded, says what, and moves the rest up', async () => {
    const broken = (await scene({ width: 20, height: 20 }).jpeg().toBuffer()).subarray(0, 300);
    const dataset = await open({
      'a/1.png': await png([9, 9, 9]),
      'a/2.jpg': broken,
      'a/3.png': await png([7, 7, 7]),
      'b/1.png': 'no image at all',
      'b/2.png': await png([5, 5, 5]),
      'b/3.png': await png([3, 3, 3]),
    });
    const { images } = await load(dataset);
    expect(images.ids).toEqual(['a/1.png', 'a/3.png', 'b/2.png', 'b/3.png']);
    expect(images.rejected.map(({ id, code }) => [id, code])).toEqual([
      ['a/2.jpg', 'image_damaged'],
      ['b/1.png', 'image_unsupported'],
    ]);
    const imageBytes = images.side ** 2 * 3;
    expect([0, 1, 2, 3].map((image) => new Uint8Array(images.pixels)[image * imageBytes])).toEqual([
      9, 7, 5, 3,
    ]);
  });

  it('refuses a class with one image, naming it', async () => {
    const dataset = await open({
      'a/1.png': await png([1, 1, 1]),
      'a/2.png': await png([1, 1, 1]),
      'lone/1.png': await png([1, 1, 1]),
    });
    await expect(load(dataset)).rejects.toThrow(
      `Expected at least two images of every class in ${dataset.name} but lone has only one`,
    );
  });

  it('refuses a class that is left with one image once the unreadable are out', async () => {
    const dataset = await open({
      'a/1.png': await png([1, 1, 1]),
      'a/2.png': await png([1, 1, 1]),
      'b/1.png': await png([1, 1, 1]),
      'b/2.png': 'broken',
    });
    await expect(load(dataset)).rejects.toThrow('b has only one once 1 unreadable images were left out');
  });

  it('refuses a single class, an empty folder and a folder of nothing readable', async () => {
    const one = await open({ 'a/1.png': await png([1, 1, 1]), 'a/2.png': await png([1, 1, 1]) });
    await expect(load(one)).rejects.toThrow(
      `Expected at least two classes to tell apart in ${one.name} but received 1`,
    );
    await expect(open({})).rejects.toThrow(
      /Expected a folder of images for each class in .* but received no images/,
    );
    const broken = await open({ 'a/1.png': 'x', 'a/2.png': 'x', 'b/1.png': 'x', 'b/2.png': 'x' });
    await expect(load(broken)).rejects.toThrow(
      `Expected images in ${broken.name} but a/1.png and all others failed`,
    );
  });

  it('refuses images that are smaller than the crop, with their sizes', async () => {
    const dataset = await open({
      'a/1.png': await png([1, 1, 1], 40),
      'a/2.png': await solid([1, 1, 1], { width: 90, height: 31 }).png().toBuffer(),
      'b/1.png': await png([1, 1, 1], 32),
      'b/2.png': await png([1, 1, 1], 8),
    });
    await expect(load(dataset, { inputSize: 32 })).rejects.toThrow(
      'Expected images of at least 32 pixels on their shorter side, the size of the crop, but 2 are smaller: a/2.png (90 x 31), b/2.png (8 x 8)',
    );
  });
});

describe('the statistics of the channels', () => {
  it('are mean and standard deviation over all pixels, scaled to 0..1', () => {
    const pixels = new SharedArrayBuffer(2 * 3);
    new Uint8Array(pixels).set([0, 51, 102, 255, 51, 204]);
    const images = {
      pixels,
      side: 1,
      count: 2,
      labels: new Int32Array(2),
      labelNames: [],
      ids: [],
      fingerprints: new Uint8Array(),
      rejected: [],
    };
    const { mean, std } = channelStatistics(images);
    for (const [i, expected] of [0.5, 0.2, 0.6].entries()) expect(mean[i]).toBeCloseTo(expected, 12);
    // Two values apart by d deviate by d / 2; no spread counts as a thousandth.
    for (const [i, expected] of [0.5, 0.001, 0.2].entries()) expect(std[i]).toBeCloseTo(expected, 12);
  });
});
