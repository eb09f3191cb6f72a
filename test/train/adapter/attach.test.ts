import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { EncoderManifest } from '../../../src/encoder/manifest.js';
import { openOnnxEncoder } from '../../../src/encoder/onnx-runtime.js';
import { attachAdapter, proveAttached } from '../../../src/train/adapter/attach.js';
import { openBackbone } from '../../../src/train/adapter/backbone.js';
import { runAdapter, type AdapterShape, type FrozenAdapter } from '../../../src/train/adapter/adapter.js';
import { emptyFolder, randomPixels } from '../../encoder/folder.js';
import { naiveEmbedding, numbers, parametersOf } from './naive-adapter.js';
import { embeddingOf, features, writeTinyBackbone, type TinyBackboneOptions } from './tiny-backbone.js';

function adapterOf(shape: AdapterShape): FrozenAdapter {
  const centre = numbers(shape.features, 3).map((value) => value / 10);
  return { shape, centre, weights: numbers(parametersOf(shape), 2) };
}

const mlp: AdapterShape = { kind: 'mlp', features, dimension: 3, hidden: 5 };

function served(backbone: EncoderManifest, dimension: number): EncoderManifest {
  const input = { ...backbone.input, name: 'pixels' };
  return { ...backbone, input, output: { name: 'embeddings', dimension } };
}

/** Of the whole model and of backbone and adapter one after the other. */
async function both(dir: string, adapter: FrozenAdapter, count: number) {
  const backbone = await openBackbone(dir, { threads: 1 });
  const { manifest, size, model } = backbone;
  const bytes = attachAdapter({ model, manifest, adapter });
  const pixels = randomPixels(5, count * size * size * 3);
  const whole = await openOnnxEncoder({
    manifest: served(manifest, adapter.shape.dimension),
    bytes,
    threads: 1,
  });
  const together = await whole.embed(pixels, count);
  const apart = await runAdapter(adapter, await backbone.encoder.embed(pixels, count), { threads: 1 });
  await proveAttached({ backbone, adapter, model: bytes, pixels, count });
  await Promise.all([whole.close(), backbone.encoder.close()]);
  return { together: together.values, apart: apart.values };
}

function largestDifference(a: Float32Array, b: Float32Array): number {
  expect(a).toHaveLength(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] ?? NaN))), 0);
}

describe('a backbone with an adapter behind it', () => {
  it('embeds a colour as plain loops do', async () => {
    const dir = await writeTinyBackbone(await emptyFolder());
    const { manifest, model, encoder } = await openBackbone(dir, { threads: 1 });
    await encoder.close();
    const adapter = adapterOf(mlp);
    const whole = await openOnnxEncoder({
      manifest: served(manifest, 3),
      bytes: attachAdapter({ model, manifest, adapter }),
      threads: 1,
    });
    const colour = [200, 90, 10];
    const pixels = Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => colour[i % 3] ?? 0);
    const { values } = await whole.embed(pixels, 1);
    await whole.close();
    naiveEmbedding(adapter, embeddingOf(colour)).forEach((value, i) =>
      expect(values[i]).toBeCloseTo(value, 5),
    );
  });

  it.each<readonly [string, TinyBackboneOptions]>([
    ['of opset 11', { opset: 11 }],
    ['of opset 20', { opset: 20 }],
    ['with other names for pixels and embeddings', { input: 'image', output: 'result' }],
    ['with a value inside called pixels', { input: 'image', inner: 'pixels' }],
    ['with a value inside called embeddings', { output: 'result', inner: 'embeddings' }],
  ])('%s is both one after the other', async (_, options) => {
    const dir = await writeTinyBackbone(await emptyFolder(), options);
    const { together, apart } = await both(dir, adapterOf(mlp), 5);
    expect(largestDifference(together, apart)).toBeLessThan(1e-5);
  });

  it.each([
    { kind: 'linear', features: 256, dimension: 64, hidden: 0 },
    { kind: 'mlp', features: 256, dimension: 256, hidden: 32 },
  ] as const)(
    'is both one after the other where it is the shipped encoder and a $kind adapter',
    async (shape) => {
      const dir = join(fileURLToPath(new URL('../../..', import.meta.url)), 'models/cifar10-compact');
      const { together, apart } = await both(dir, adapterOf(shape), 3);
      expect(largestDifference(together, apart)).toBeLessThan(1e-5);
    },
  );

  it('is refused where its model is not what it says', async () => {
    const backbone = await openBackbone(await writeTinyBackbone(await emptyFolder()), { threads: 1 });
    const { manifest, model } = backbone;
    const other = attachAdapter({
      model,
      manifest,
      adapter: { ...adapterOf(mlp), centre: numbers(features, 8) },
    });
    const pixels = randomPixels(5, 2 * 8 * 8 * 3);
    const proof = proveAttached({ backbone, adapter: adapterOf(mlp), model: other, pixels, count: 2 });
    await expect(proof).rejects.toMatchObject({ code: 'encoder_unsupported' });
    await backbone.encoder.close();
  });
});

describe('opening a backbone', () => {
  const threads = { threads: 1 };

  it('refuses a folder without an encoder', async () => {
    await expect(openBackbone(await emptyFolder(), threads)).rejects.toMatchObject({
      code: 'encoder_missing',
    });
  });

  it('refuses one of TensorFlow.js, and says what would do', async () => {
    const dir = await writeTinyBackbone(await emptyFolder(), {}, { format: 'tfjs' });
    await expect(openBackbone(dir, threads)).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringMatching(
        /^Expected an ONNX encoder as backbone but tiny is tfjs.*encoder add/,
      ) as string,
    });
  });

  it('refuses one whose images are not square', async () => {
    const input = { name: 'pixels', width: 8, height: 6, fit: 'fill', kernel: 'cubic' };
    const dir = await writeTinyBackbone(await emptyFolder(), {}, { input });
    await expect(openBackbone(dir, threads)).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringContaining('8 x 6') as string,
    });
  });

  it('refuses a file that is not the one its manifest tells of', async () => {
    const dir = await writeTinyBackbone(await emptyFolder(), {}, { sha256: 'ab'.repeat(32) });
    await expect(openBackbone(dir, threads)).rejects.toMatchObject({ code: 'encoder_invalid' });
  });
});
