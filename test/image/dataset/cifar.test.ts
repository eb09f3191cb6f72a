import { existsSync } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { create } from 'tar';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../../src/image/dataset/open-dataset.js';
import type { LabelledImage } from '../../../src/image/dataset/dataset.js';
import { folderOf, listed, removeFoldersAfterEach } from './folders.js';

removeFoldersAfterEach();

/** Label bytes, then the planes; the pixel at row y, column x is (seed + x, seed + y, seed) modulo 256. */
function record(seed: number, ...labels: readonly number[]): Buffer {
  const planes = Buffer.alloc(3072);
  for (let y = 0; y < 32; y++) {
    for (let x = 0; x < 32; x++) {
      planes[y * 32 + x] = seed + x;
      planes[1024 + y * 32 + x] = seed + y;
      planes[2048 + y * 32 + x] = seed;
    }
  }
  return Buffer.concat([Buffer.from(labels), planes]);
}

const batch = (...labels: readonly number[]) => Buffer.concat(labels.map((label, i) => record(i, label)));

const tiny = {
  'batches.meta.txt': 'plane\ncar\nbird\n\n',
  'data_batch_2.bin': batch(2, 0),
  'data_batch_10.bin': batch(1),
  'data_batch_1.bin': batch(0, 1, 1),
  'test_batch.bin': batch(2),
  'readme.html': '<html>',
};

const summary = (images: readonly LabelledImage[]) => images.map(({ id, label }) => [id, label]);

async function expectPixels(image: LabelledImage | undefined, seed: number): Promise<void> {
  const content = await image?.read();
  expect(content).toMatchObject({ kind: 'pixels', width: 32, height: 32 });
  if (content?.kind !== 'pixels') return;
  const expected = Array.from({ length: 1024 }, (_, i) => [
    seed + (i % 32),
    seed + Math.floor(i / 32),
    seed,
  ]).flat();
  expect(content.pixels).toEqual(Uint8Array.from(expected));
}

async function archiveOf(files: Readonly<Record<string, Uint8Array | string>>, names: readonly string[]) {
  const root = await folderOf(
    Object.fromEntries(Object.entries(files).map(([name, data]) => [`cifar/${name}`, data])),
  );
  const path = join(root, 'cifar.tar.gz');
  await create(
    { gzip: true, file: path, cwd: root },
    names.map((name) => `cifar/${name}`),
  );
  return path;
}

const archived = () =>
  archiveOf(tiny, [
    'test_batch.bin',
    'data_batch_1.bin',
    'data_batch_2.bin',
    'readme.html',
    'data_batch_10.bin',
    'batches.meta.txt',
  ]);

describe('the CIFAR-10 binaries in a folder', () => {
  it('gives the records of the training batches in their order, with the names of its meta file', async () => {
    const dataset = await openDataset(await folderOf(tiny), { split: 'train' });
    expect(dataset.name).toBe('cifar10 (train)');
    expect(dataset.size).toBe(6);
    expect([...dataset.labelCounts]).toEqual([
      ['bird', 1],
      ['car', 3],
      ['plane', 2],
    ]);
    const images = await listed(dataset);
    expect(summary(images)).toEqual([
      ['data_batch_1.bin#00000', 'plane'],
      ['data_batch_1.bin#00001', 'car'],
      ['data_batch_1.bin#00002', 'car'],
      ['data_batch_2.bin#00000', 'bird'],
      ['data_batch_2.bin#00001', 'plane'],
      ['data_batch_10.bin#00000', 'car'],
    ]);
    expect(images.map(({ source }) => source)).toEqual(images.map(({ id }) => id));
    await expectPixels(images[2], 2);
    await expectPixels(images[4], 1);
  });

  it('gives the test batch for the test split', async () => {
    const dataset = await openDataset(await folderOf(tiny), { split: 'test' });
    expect(dataset.name).toBe('cifar10 (test)');
    expect(summary(await listed(dataset))).toEqual([['test_batch.bin#00000', 'bird']]);
  });

  it('knows the official names where the meta file is missing', async () => {
    const dataset = await openDataset(await folderOf({ 'test_batch.bin': batch(0, 6, 9) }), {
      split: 'test',
    });
    expect([...dataset.labelCounts.keys()]).toEqual(['airplane', 'frog', 'truck']);
  });

  it('reads thousands of records in any order, each its own', async () => {
    const records = Array.from({ length: 1500 }, (_, i) => record(i % 200, i % 10));
    const images = await listed(
      await openDataset(await folderOf({ 'test_batch.bin': Buffer.concat(records) }), { split: 'test' }),
    );
    expect(images).toHaveLength(1500);
    const scattered = Array.from({ length: 300 }, (_, i) => (i * 787) % 1500);
    await Promise.all(
      scattered.map(async (i) => {
        const content = await images[i]?.read();
        expect(content?.kind === 'pixels' && content.pixels[0]).toBe(i % 200);
      }),
    );
  });

  it('is missing where the split is', async () => {
    const root = await folderOf({ 'test_batch.bin': batch(0) });
    await expect(openDataset(root, { split: 'train' })).rejects.toMatchObject({
      code: 'dataset_missing',
      message: `Expected the CIFAR binaries of the train split in ${root}`,
    });
  });

  it('is invalid where a file is cut off, empty, or names no label', async () => {
    const cut = await folderOf({ ...tiny, 'data_batch_2.bin': batch(2, 0).subarray(0, 5000) });
    await expect(openDataset(cut, { split: 'train' })).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: `Expected cifar10 records of 3073 bytes in ${join(cut, 'data_batch_2.bin')} but received 5000 bytes: is it truncated?`,
    });
    const empty = await folderOf({ 'test_batch.bin': '' });
    await expect(openDataset(empty, { split: 'test' })).rejects.toMatchObject({ code: 'dataset_invalid' });
    const wrong = await folderOf({ ...tiny, 'test_batch.bin': batch(0, 3) });
    await expect(openDataset(wrong, { split: 'test' })).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: 'Expected a label below 3 in test_batch.bin#00001 but received 3',
    });
  });

  it('says so where a file shrinks after it was listed', async () => {
    const root = await folderOf({
      'test_batch.bin': Buffer.concat(Array.from({ length: 3000 }, () => record(1, 1))),
    });
    const images = await listed(await openDataset(root, { split: 'test' }));
    await truncate(join(root, 'test_batch.bin'), 3073);
    await expect(images[5]?.read()).rejects.toMatchObject({ code: 'dataset_invalid' });
  });
});

describe('the CIFAR-100 binaries in a folder', () => {
  it('takes the fine label, and its official name where the meta file is missing', async () => {
    const files = {
      'train.bin': Buffer.concat([record(5, 19, 0), record(6, 0, 99)]),
      'test.bin': record(7, 3, 50),
    };
    const root = await folderOf(files);
    const dataset = await openDataset(root, { split: 'train' });
    expect(dataset.name).toBe('cifar100 (train)');
    const images = await listed(dataset);
    expect(summary(images)).toEqual([
      ['train.bin#00000', 'apple'],
      ['train.bin#00001', 'worm'],
    ]);
    await expectPixels(images[1], 6);
    const test = await openDataset(root, { split: 'test' });
    expect(summary(await listed(test))).toEqual([['test.bin#00000', 'mouse']]);
    await writeFile(
      join(root, 'fine_label_names.txt'),
      Array.from({ length: 100 }, (_, i) => `fine ${i}`).join('\n'),
    );
    expect(summary(await listed(await openDataset(root, { split: 'test' })))).toEqual([
      ['test.bin#00000', 'fine 50'],
    ]);
  });
});

describe('the .tar.gz of the CIFAR binaries', () => {
  it('gives the same records as the folder, in its own order, as often as one lists it', async () => {
    const dataset = await openDataset(await archived(), { split: 'train' });
    expect(dataset.name).toBe('cifar10 (train)');
    expect(dataset.size).toBe(6);
    expect([...dataset.labelCounts]).toEqual([
      ['bird', 1],
      ['car', 3],
      ['plane', 2],
    ]);
    const images = await listed(dataset);
    const fromFolder = await listed(await openDataset(await folderOf(tiny), { split: 'train' }));
    expect(summary(images)).toEqual(summary(fromFolder));
    expect(summary(await listed(dataset))).toEqual(summary(images));
    for (const [i, image] of images.entries())
      expect(await image.read()).toEqual(await fromFolder[i]?.read());
  });

  it('gives the test batch for the test split', async () => {
    const dataset = await openDataset(await archived(), { split: 'test' });
    expect(summary(await listed(dataset))).toEqual([['test_batch.bin#00000', 'bird']]);
  });

  it('may be left before its end', async () => {
    const dataset = await openDataset(await archived(), { split: 'train' });
    for await (const image of dataset.images()) {
      expect(image.id).toBe('data_batch_1.bin#00000');
      break;
    }
    expect(await listed(dataset)).toHaveLength(6);
  });

  it('is missing where the split is, and where it is the Python version', async () => {
    const noTrain = await archiveOf(tiny, ['test_batch.bin']);
    await expect(openDataset(noTrain, { split: 'train' })).rejects.toMatchObject({ code: 'dataset_missing' });
    const python = await archiveOf({ data_batch_1: 'pickle' }, ['data_batch_1']);
    await expect(openDataset(python, { split: 'train' })).rejects.toMatchObject({ code: 'dataset_missing' });
  });

  it('is invalid where a file in it is no whole number of records', async () => {
    const path = await archiveOf({ 'test_batch.bin': batch(1, 2).subarray(0, -1) }, ['test_batch.bin']);
    await expect(openDataset(path, { split: 'test' })).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: `Expected cifar10 records of 3073 bytes in test_batch.bin of ${path} but received 6145 bytes: is it truncated?`,
    });
  });

  it('is invalid wherever it is cut off or overwritten, and never hangs', async () => {
    const noise = Buffer.from(
      Array.from({ length: 64 * 3072 }, (_, i) => (Math.imul(i, 2654435761) >>> 13) & 255),
    );
    const records = Array.from({ length: 64 }, (_, i) =>
      Buffer.concat([Buffer.from([i % 10]), noise.subarray(i * 3072, (i + 1) * 3072)]),
    );
    const path = await archiveOf({ 'test_batch.bin': Buffer.concat(records) }, ['test_batch.bin']);
    const whole = await readFile(path);
    expect(await listed(await openDataset(path, { split: 'test' }))).toHaveLength(64);
    for (const part of [0.2, 0.5, 0.8, 0.95]) {
      await writeFile(path, whole.subarray(0, Math.floor(whole.length * part)));
      await expect(openDataset(path, { split: 'test' })).rejects.toMatchObject({ code: 'dataset_invalid' });
      const overwritten = Buffer.from(whole);
      overwritten.fill(0x5a, Math.floor(whole.length * part), Math.floor(whole.length * part) + 300);
      await writeFile(path, overwritten);
      await expect(openDataset(path, { split: 'test' })).rejects.toMatchObject({ code: 'dataset_invalid' });
    }
    for (const content of ['', 'this is no archive', Buffer.from([0x1f, 0x8b])]) {
      await writeFile(path, content);
      await expect(openDataset(path, { split: 'test' })).rejects.toMatchObject({
        code: expect.stringMatching(/^dataset_(invalid|missing)$/) as string,
      });
    }
  });
});

const real = join(import.meta.dirname, '../../../../shared/data/cifar10');

// The official files are too large for the repository.
describe.skipIf(!existsSync(real))('the true CIFAR-10', () => {
  it('has 50,000 and 10,000 images, 5,000 and 1,000 of each label, and starts with a frog and a cat', async () => {
    const train = await openDataset(real, { split: 'train' });
    expect(train.size).toBe(50_000);
    expect([...train.labelCounts.values()]).toEqual(new Array(10).fill(5000));
    for await (const image of train.images()) {
      expect([image.id, image.label]).toEqual(['data_batch_1.bin#00000', 'frog']);
      const content = await image.read();
      // The first pixel of the first image, as every copy of the dataset has it.
      expect(content.kind === 'pixels' && [...content.pixels.subarray(0, 3)]).toEqual([59, 62, 63]);
      break;
    }
    const test = await openDataset(real, { split: 'test' });
    expect(test.size).toBe(10_000);
    expect([...test.labelCounts.values()]).toEqual(new Array(10).fill(1000));
    for await (const image of test.images()) {
      expect(image.label).toBe('cat');
      break;
    }
  });
});
