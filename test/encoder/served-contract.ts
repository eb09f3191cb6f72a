import { afterAll, beforeAll, expect, it } from 'vitest';
import { dot } from '../../src/domain/embeddings.js';
import type { Encoder } from '../../src/encoder/encoder.js';
import { loadEncoder } from '../../src/encoder/load.js';
import { randomPixels } from './folder.js';

/** The tests that every encoder we export passes, whoever trained it: call it within a `describe`. */
export function obeysTheContract(dir: () => string): void {
  let encoder: Encoder;
  let image = 0;
  let dimension = 0;
  // Checks the manifest against its schema, and the model file against the manifest's hash.
  beforeAll(async () => {
    encoder = await loadEncoder(dir(), { threads: 1 });
    const { input, output } = encoder.manifest;
    image = input.width * input.height * 3;
    dimension = output.dimension;
  });
  afterAll(() => encoder.close());

  it('takes uint8 pixels and gives finite unit vectors of its dimension', async () => {
    expect(encoder.manifest).toMatchObject({ format: 'onnx', input: { name: 'pixels' } });
    expect(encoder.manifest.output.name).toBe('embeddings');
    const embeddings = await encoder.embed(randomPixels(7, 8 * image), 8);
    expect([embeddings.count, embeddings.dimension]).toEqual([8, dimension]);
    expect(embeddings.values).toHaveLength(8 * dimension);
    for (let row = 0; row < 8; row++) {
      const at = row * dimension;
      expect(dot(embeddings.values, at, embeddings.values, at, dimension)).toBeCloseTo(1, 5);
    }
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
      const apart = alone.values.map((value, i) =>
        Math.abs(value - (together.values[row * dimension + i] ?? NaN)),
      );
      expect(Math.max(...apart)).toBeLessThan(1e-5);
    }
  });

  it('looks at the pixels: unlike images lie apart', async () => {
    const pixels = new Uint8Array(2 * image);
    pixels.fill(255, image, image + image / 2);
    const { values } = await encoder.embed(pixels, 2);
    expect(dot(values, 0, values, dimension, dimension)).toBeLessThan(0.99);
  });
}
