import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dot } from '../../src/domain/embeddings.js';
import type { Encoder } from '../../src/encoder/encoder.js';
import { loadEncoder } from '../../src/encoder/load.js';
import { randomPixels } from './folder.js';

const dir = fileURLToPath(new URL('../../models/cifar10-compact', import.meta.url));
const image = 32 * 32 * 3;

describe('the encoder that is shipped', () => {
  let encoder: Encoder;
  beforeAll(async () => {
    encoder = await loadEncoder(dir, { threads: 1 });
  });
  afterAll(() => encoder.close());

  it('says what it is', () => {
    expect(encoder.manifest).toMatchObject({
      name: 'cifar10-compact',
      format: 'onnx',
      input: { width: 32, height: 32, fit: 'fill' },
      output: { dimension: 256 },
      trainedOn: ['cifar10 (train)'],
      licence: 'Apache-2.0',
    });
  });

  it('gives finite unit vectors of its dimension', async () => {
    const { values, count, dimension } = await encoder.embed(randomPixels(7, 8 * image), 8);
    expect([count, dimension, values.length]).toEqual([8, 256, 8 * 256]);
    for (let row = 0; row < 8; row++)
      expect(dot(values, row * 256, values, row * 256, 256)).toBeCloseTo(1, 5);
  });

  it('gives the same bits twice', async () => {
    const pixels = randomPixels(8, 3 * image);
    expect((await encoder.embed(pixels, 3)).values).toEqual((await encoder.embed(pixels, 3)).values);
  });

  it('places an image alike alone and in a batch of eight', async () => {
    const pixels = randomPixels(9, 8 * image);
    const together = await encoder.embed(pixels, 8);
    for (let row = 0; row < 8; row++) {
      const alone = await encoder.embed(pixels.subarray(row * image, (row + 1) * image), 1);
      const apart = alone.values.map((value, i) => Math.abs(value - (together.values[row * 256 + i] ?? NaN)));
      expect(Math.max(...apart)).toBeLessThan(1e-5);
    }
  });

  it('looks at the pixels: unlike images lie apart', async () => {
    const pixels = new Uint8Array(2 * image);
    pixels.fill(255, image, image + image / 2);
    const { values } = await encoder.embed(pixels, 2);
    expect(dot(values, 0, values, 256, 256)).toBeLessThan(0.95);
  });
});
