import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dot } from '../../src/domain/embeddings.js';
import type { Encoder } from '../../src/encoder/encoder.js';
import { loadEncoder } from '../../src/encoder/load.js';
import { openTensorFlow } from '../../src/encoder/tensorflow.js';
import { emptyFolder, randomPixels, writeManifest } from './folder.js';
import { onnxBytes, saveGraphModel, saveLayersModel } from './parity-network.js';

async function onnxEncoder(): Promise<Encoder> {
  const dir = await emptyFolder();
  await writeFile(join(dir, 'encoder.onnx'), onnxBytes());
  await writeManifest(dir, ['encoder.onnx']);
  return loadEncoder(dir, { threads: 1 });
}

const names = { input: { name: 'pixels', width: 8, height: 8, fit: 'fill', kernel: 'cubic' } };

async function layersFolder(): Promise<string> {
  const dir = await emptyFolder();
  const files = await saveLayersModel((await openTensorFlow()).tf, dir);
  await writeManifest(dir, files, { ...names, format: 'tfjs' });
  return dir;
}

async function graphFolder(): Promise<string> {
  const dir = await emptyFolder();
  await writeManifest(dir, await saveGraphModel(dir), { ...names, format: 'tfjs' });
  return dir;
}

const kinds = [
  ['layers', layersFolder],
  ['graph', graphFolder],
] as const;

describe.each(kinds)('a TensorFlow.js %s model', (_kind, folder) => {
  it('embeds every image where the same network in ONNX does', async () => {
    const count = 24;
    const pixels = randomPixels(1, count * 8 * 8 * 3);
    const onnx = await onnxEncoder();
    const expected = await onnx.embed(pixels, count);
    await onnx.close();
    const encoder = await loadEncoder(await folder(), { threads: 1 });
    const received = await encoder.embed(pixels, count);
    expect([received.count, received.dimension]).toEqual([count, 5]);
    for (let row = 0; row < count; row++) {
      expect(dot(expected.values, row * 5, received.values, row * 5, 5)).toBeGreaterThan(0.9999);
    }
    // Images that all land in one place would agree as well.
    expect(dot(expected.values, 0, expected.values, 5, 5)).toBeLessThan(0.9999);
    await encoder.close();
  });

  it('leaves no tensor behind, however many batches it embeds', async () => {
    const { tf } = await openTensorFlow();
    const dir = await folder();
    const before = tf.memory().numTensors;
    const encoder = await loadEncoder(dir, { threads: 1 });
    const pixels = randomPixels(2, 3 * 8 * 8 * 3);
    await encoder.embed(pixels, 3);
    const loaded = tf.memory().numTensors;
    expect(loaded).toBeGreaterThan(before);
    for (let i = 0; i < 5; i++) await encoder.embed(pixels, 3);
    expect(tf.memory().numTensors).toBe(loaded);
    await encoder.close();
    await encoder.close();
    expect(tf.memory().numTensors).toBe(before);
    await expect(encoder.embed(pixels, 3)).rejects.toMatchObject({ code: 'shutting_down' });
  });

  it('says that a shard is cut short', async () => {
    const dir = await folder();
    await truncate(join(dir, 'group1-shard2of2.bin'), 40);
    await expect(loadEncoder(dir, { threads: 1 })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringContaining('sha256') as string,
    });
    // And so does the reader, had the manifest been written after the cut.
    await writeManifest(dir, ['model.json', 'group1-shard1of2.bin', 'group1-shard2of2.bin'], {
      ...names,
      format: 'tfjs',
    });
    await expect(loadEncoder(dir, { threads: 1 })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringMatching(/Expected \d+ bytes of weights .* but its shards hold 141/) as string,
    });
  });

  it('names the shard that is missing', async () => {
    const dir = await folder();
    await rm(join(dir, 'group1-shard2of2.bin'));
    await expect(loadEncoder(dir, { threads: 1 })).rejects.toMatchObject({
      code: 'encoder_missing',
      message: expect.stringContaining('group1-shard2of2.bin') as string,
    });
  });

  it('refuses a manifest of another dimension when it runs', async () => {
    const dir = await folder();
    await writeManifest(dir, ['model.json', 'group1-shard1of2.bin', 'group1-shard2of2.bin'], {
      ...names,
      format: 'tfjs',
      output: { name: 'embeddings', dimension: 6 },
    });
    const encoder = await loadEncoder(dir, { threads: 1 });
    await expect(encoder.embed(randomPixels(3, 192), 1)).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: 'Expected 1 x 6 values from encoder tiny but received [1,5]',
    });
    await encoder.close();
  });
});

describe('a TensorFlow.js model that is not one', () => {
  it.each([
    ['no JSON', '{', /Expected JSON in model.json/],
    ['another format', '{"format":"keras","modelTopology":{},"weightsManifest":[]}', /format: /],
    ['no topology', '{"format":"graph-model","weightsManifest":[]}', /modelTopology: /],
    [
      'an empty graph',
      '{"format":"layers-model","modelTopology":{"a":1},"weightsManifest":[]}',
      /can load but it said/,
    ],
  ])('with %s says so', async (_what, json, message) => {
    const dir = await emptyFolder();
    await writeFile(join(dir, 'model.json'), json);
    await writeManifest(dir, ['model.json'], { format: 'tfjs' });
    await expect(loadEncoder(dir, { threads: 1 })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringMatching(message) as string,
    });
  });

  it('reads no shard again, however often it is named', async () => {
    const dir = await graphFolder();
    const json = await readFile(join(dir, 'model.json'), 'utf8');
    await writeFile(join(dir, 'model.json'), json.replace('group1-shard2of2.bin', './group1-shard1of2.bin'));
    await expect(loadEncoder(dir, { threads: 1 })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringContaining('group1-shard1of2.bin is there again') as string,
    });
  });

  it('never reads a shard outside its folder', async () => {
    const dir = await graphFolder();
    const json = await readFile(join(dir, 'model.json'), 'utf8');
    await writeFile(join(dir, 'model.json'), json.replace('group1-shard1of2.bin', '../../secret.bin'));
    await expect(loadEncoder(dir, { threads: 1 })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringContaining('Expected a file inside') as string,
    });
  });

  it('names the inputs and outputs of a graph that has others than its manifest says', async () => {
    const dir = await graphFolder();
    await writeManifest(dir, ['model.json', 'group1-shard1of2.bin', 'group1-shard2of2.bin'], {
      ...names,
      format: 'tfjs',
      output: { name: 'features_elsewhere', dimension: 5 },
    });
    await expect(loadEncoder(dir, { threads: 1 })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message:
        'Expected encoder tiny to take pixels and give features_elsewhere but it takes pixels and gives embeddings',
    });
  });
});
