import { readdir, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { dot } from '../../../src/domain/embeddings.js';
import { addEncoder } from '../../../src/encoder/add/add-encoder.js';
import type { EncoderManifest } from '../../../src/encoder/manifest.js';
import { loadEncoder } from '../../../src/encoder/load.js';
import { openTensorFlow } from '../../../src/encoder/tensorflow.js';
import { resizeTo } from '../../../src/image/geometry.js';
import { emptyFolder, randomPixels } from '../folder.js';
import { foreignWeights as weights, saveForeign, saveForeignLayers } from './foreign-tfjs.js';

type Overrides = Partial<Omit<Parameters<typeof addEncoder>[0], 'preprocessing'>> & {
  readonly preprocessing?: Partial<Parameters<typeof addEncoder>[0]['preprocessing']>;
};

function add(dir: string, { preprocessing, ...others }: Overrides = {}): Promise<EncoderManifest> {
  return addEncoder({
    path: join(dir, 'model.json'),
    dir: join(dir, 'out'),
    force: false,
    name: 'foreign',
    version: '1.0.0',
    geometry: resizeTo({ width: 4, height: 3, fit: 'cover', kernel: 'cubic' }),
    licence: 'MIT',
    trainedOn: [],
    preprocessing: {
      layout: 'nhwc',
      channels: 'rgb',
      scale: 255,
      mean: [0.4, 0.5, 0.6],
      std: [0.2, 0.3, 0.1],
      ...preprocessing,
    },
    ...others,
  });
}

interface Taken {
  readonly channels?: 'rgb' | 'bgr';
  readonly take?: 'mean' | 'first';
}

/** The network by a loop: a product of each pixel's colours with the weights, ReLU, then the mean of all pixels or the first. */
function byHand(pixels: Uint8Array, { channels = 'rgb', take = 'mean' }: Taken = {}): Float32Array {
  const sums = new Array<number>(5).fill(0);
  for (let pixel = 0; pixel < (take === 'first' ? 1 : 12); pixel++) {
    for (let k = 0; k < 5; k++) {
      let value = 0;
      for (let c = 0; c < 3; c++) {
        const byte = pixels[pixel * 3 + (channels === 'bgr' ? 2 - c : c)] ?? NaN;
        const image = (byte / 255 - ([0.4, 0.5, 0.6][c] ?? NaN)) / ([0.2, 0.3, 0.1][c] ?? NaN);
        value += image * (weights[c * 5 + k] ?? NaN);
      }
      sums[k] = (sums[k] ?? NaN) + Math.max(0, value);
    }
  }
  const length = Math.hypot(...sums);
  return Float32Array.from(sums, (sum) => sum / length);
}

async function expectByHand(dir: string, taken: Taken = {}): Promise<void> {
  const encoder = await loadEncoder(join(dir, 'out'), { threads: 1 });
  const pixels = randomPixels(7, 6 * 36);
  const { values } = await encoder.embed(pixels, 6);
  await encoder.close();
  for (let i = 0; i < 6; i++) {
    const expected = byHand(pixels.subarray(i * 36, (i + 1) * 36), taken);
    expect(dot(expected, 0, values, i * 5, 5)).toBeGreaterThan(0.99999);
  }
}

describe('a wrapped TensorFlow.js graph model equals the network computed by hand', () => {
  it.each([
    ['map', {}, {}],
    ['pooled', {}, {}],
    ['tokens', { token: 'mean' }, {}],
    ['tokens', { token: 'cls' }, { take: 'first' }],
    ['map', { preprocessing: { channels: 'bgr' } }, { channels: 'bgr' }],
  ] as const)('taken at %s with %j', async (output, options, taken) => {
    const dir = await emptyFolder();
    await saveForeign(dir);
    const manifest = await add(dir, { output, ...options });
    expect(manifest).toMatchObject({ format: 'tfjs', output: { dimension: 5 }, proof: { images: 3 } });
    await expectByHand(dir, taken);
  });

  it('and what comes after the output is left out, weights and all', async () => {
    const dir = await emptyFolder();
    await saveForeign(dir);
    await add(dir, { output: 'map' });
    const files = await readdir(join(dir, 'out'));
    expect(files.sort()).toEqual([
      'encoder.json',
      'model.json',
      expect.stringMatching(/^weights-[0-9a-f]{8}\.bin$/),
    ]);
    expect(await readFile(join(dir, 'out', 'model.json'), 'utf8')).not.toContain('classes');
  });

  it('whose names are those that wrapping would have given', async () => {
    const dir = await emptyFolder();
    await saveForeign(dir, (json) =>
      json
        .replaceAll('"image"', '"pixels"')
        .replaceAll('"map"', '"embeddings"')
        .replaceAll('"w"', '"nearvote/gain"'),
    );
    await add(dir, { output: 'embeddings' });
    await expectByHand(dir);
  });

  it('and replaces an encoder that is there', async () => {
    const dir = await emptyFolder();
    await saveForeign(dir);
    await add(dir, { output: 'tokens', token: 'cls' });
    const { file } = await add(dir, { output: 'map', force: true });
    expect(file).toMatch(/^model-[0-9a-f]{8}\.json$/);
    expect(await readdir(join(dir, 'out'))).toHaveLength(3);
    await expectByHand(dir);
  });
});

describe('a wrapped TensorFlow.js layers model equals the network computed by hand', () => {
  it.each([
    ['map', {}, {}],
    ['pooled', {}, {}],
    ['map', { preprocessing: { channels: 'bgr' } }, { channels: 'bgr' }],
  ] as const)('taken at %s with %j', async (output, options, taken) => {
    const dir = await emptyFolder();
    await saveForeignLayers((await openTensorFlow()).tf, dir);
    expect(await add(dir, { output, ...options })).toMatchObject({
      format: 'tfjs',
      output: { dimension: 5 },
    });
    await expectByHand(dir, taken);
  });

  it('as an older converter wrote it, without a format', async () => {
    const dir = await emptyFolder();
    await saveForeignLayers((await openTensorFlow()).tf, dir, (json) =>
      json.replace('"format":"layers-model",', ''),
    );
    await add(dir, { output: 'map' });
    await expectByHand(dir);
  });

  it('leaves no tensor behind', async () => {
    const { tf } = await openTensorFlow();
    const dir = await emptyFolder();
    await saveForeignLayers(tf, dir);
    const before = tf.memory().numTensors;
    await add(dir, { output: 'map' });
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('a TensorFlow.js model that cannot be wrapped', () => {
  it.each([
    ['no JSON', () => '{', {}, 'encoder_invalid', /Expected JSON in model.json/],
    [
      'a shard that leads out of the folder',
      (json: string) => json.replace('weights.bin', '../weights.bin'),
      {},
      'encoder_invalid',
      /Expected a file inside/,
    ],
    [
      'an operation that nobody has',
      (json: string) => json.replace('"op":"Relu"', '"op":"MagicRelu"'),
      { output: 'map' },
      'encoder_unsupported',
      /the model uses MagicRelu/,
    ],
    [
      'several outputs',
      String,
      {},
      'usage',
      /--output, one of classes \[n,2\], tokens \[n,12,5\], map2 \[n,3,4,5\]/,
    ],
    [
      'another output',
      String,
      { output: 'mop' },
      'usage',
      /name an output \(classes \[n,2\].* received mop$/,
    ],
    ['tokens without a choice', String, { output: 'tokens' }, 'usage', /--token cls or mean/],
    [
      'another size',
      String,
      { output: 'map', geometry: resizeTo({ width: 5, height: 5, fit: 'cover', kernel: 'cubic' }) },
      'usage',
      /the model takes image \[-1,3,4,3\]/,
    ],
    ['channels first', String, { preprocessing: { layout: 'nchw' } }, 'usage', /--layout nhwc/],
    [
      'whole numbers as its input',
      (json: string) => json.replace('DT_FLOAT', 'DT_INT32'),
      { output: 'map' },
      'usage',
      /--scale 1 --mean 0 --std 1/,
    ],
  ] as const)('for %s says so and writes nothing', async (_what, change, options, code, message) => {
    const dir = await emptyFolder();
    await saveForeign(dir, change);
    const adding = add(dir, options);
    await expect(adding).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
    expect(await readdir(dir)).not.toContain('out');
  });

  it('for layers of its own names the layer', async () => {
    const dir = await emptyFolder();
    await saveForeignLayers((await openTensorFlow()).tf, dir, (json) => json.replace('"ReLU"', '"GlowReLU"'));
    await expect(add(dir)).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringContaining('GlowReLU') as string,
    });
  });

  it('for a shard that is missing or of another length names it', async () => {
    const dir = await emptyFolder();
    await saveForeign(dir);
    await truncate(join(dir, 'weights.bin'), 8);
    await expect(add(dir)).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringMatching(/its shards hold 8: weights.bin/) as string,
    });
    await rm(join(dir, 'weights.bin'));
    await expect(add(dir)).rejects.toMatchObject({
      code: 'encoder_missing',
      message: expect.stringContaining('weights.bin') as string,
    });
  });

  it('for embeddings that depend on the company says so', async () => {
    const dir = await emptyFolder();
    // The mean of all images in the place of each.
    await saveForeign(dir, String, [0]);
    await expect(add(dir, { output: 'pooled' })).rejects.toThrow(
      'takes any number of images but it fails on 3',
    );
  });
});
