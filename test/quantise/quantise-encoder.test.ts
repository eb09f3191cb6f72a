import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { loadEncoder, readEncoderManifest } from '../../src/encoder/load.js';
import {
  proofBound,
  quantiseEncoder,
  type QuantiseEncoderOptions,
} from '../../src/quantise/quantise-encoder.js';
import { emptyFolder, writeManifest } from '../encoder/folder.js';
import { images, side, wholeNetwork } from '../encoder/quantise/networks.js';

const silent = { start: () => undefined, advance: () => undefined, finish: () => undefined };

/** A float encoder and a folder of pictures. */
async function prepared(count = 72): Promise<QuantiseEncoderOptions> {
  const dir = await emptyFolder();
  const encoder = join(dir, 'whole');
  await mkdir(encoder);
  await writeFile(join(encoder, 'encoder.onnx'), wholeNetwork());
  const described = {
    name: 'whole',
    input: { name: 'pixels', width: side, height: side, fit: 'fill', kernel: 'cubic' },
    output: { name: 'embeddings', dimension: 6 },
    metrics: { 'knn@1': 0.5 },
    configHash: '0'.repeat(64),
  };
  await writeManifest(encoder, ['encoder.onnx'], described);
  const data = join(dir, 'pictures', 'all');
  await mkdir(data, { recursive: true });
  for (const [i, pixels] of images(count).entries()) {
    await sharp(pixels, { raw: { width: side, height: side, channels: 3 } }).toFile(join(data, `${i}.png`));
  }
  return {
    ...{
      encoder,
      data: join(dir, 'pictures'),
      split: 'train',
      maxImageBytes: 1_000_000,
      out: join(dir, 'whole-int8'),
    },
    ...{ name: 'whole-int8', force: false, images: 512, seed: 0, threads: 1, processors: 'any' },
    ...{ methods: ['min-max'], floatShare: 0 },
  };
}

describe('quantising an encoder', () => {
  it('writes a folder that is served as it is, with its parent, figures, a proof and a report, and nothing beside it', async () => {
    const options = await prepared();
    const result = await quantiseEncoder(options, silent);
    expect((await readdir(options.out)).sort()).toEqual(['README.md', 'encoder.json', 'encoder.onnx']);
    expect((await readdir(join(options.out, '..'))).sort()).toEqual(['pictures', 'whole', 'whole-int8']);

    const [parent, manifest] = [
      await readEncoderManifest(options.encoder),
      await readEncoderManifest(options.out),
    ];
    expect(manifest).toEqual(result.manifest);
    expect(manifest).toMatchObject({
      ...{ name: 'whole-int8', input: parent.input, output: parent.output, licence: parent.licence },
      source: { parent: { name: 'whole', version: parent.version, sha256: parent.sha256 } },
    });
    expect(Object.keys(manifest.metrics)).not.toContain('knn@1');
    expect(manifest.configHash).toBeUndefined();
    expect(manifest.proof?.images).toBe(3);
    expect(await readFile(join(options.out, 'README.md'), 'utf8')).toContain('signal to noise');

    // It meets its own proof.
    const encoder = await loadEncoder(options.out, { threads: 1 });
    await encoder.close();
    expect(result.images).toEqual({ calibration: 48, heldOut: 24 });
    expect(result.warnings).toEqual(['48 images told the ranges of values; 512 are the fewest to rely on']);
  });

  it('writes the same bytes for the same encoder, pictures and options', async () => {
    const options = await prepared(30);
    await quantiseEncoder(options, silent);
    const again = { ...options, out: `${options.out}-again` };
    await quantiseEncoder(again, silent);
    for (const file of ['encoder.onnx', 'encoder.json', 'README.md']) {
      expect(await readFile(join(again.out, file), 'utf8')).toBe(
        await readFile(join(options.out, file), 'utf8'),
      );
    }
  });

  it('leaves out pictures that cannot be read', async () => {
    const options = await prepared(30);
    await writeFile(join(options.data, 'all', 'broken.png'), 'not a picture');
    const { images: read } = await quantiseEncoder(options, silent);
    expect(read.calibration + read.heldOut).toBe(30);
  });
});

describe('what cannot be done leaves nothing behind', () => {
  it('too few pictures', async () => {
    const options = await prepared(9);
    await expect(quantiseEncoder(options, silent)).rejects.toMatchObject({ code: 'dataset_invalid' });
    expect(await readdir(join(options.out, '..'))).not.toContain('whole-int8');
  });

  it('an encoder that is there already, unless it may be replaced', async () => {
    const options = await prepared(30);
    await quantiseEncoder(options, silent);
    await expect(quantiseEncoder(options, silent)).rejects.toMatchObject({ code: 'output_exists' });
    await quantiseEncoder({ ...options, force: true }, silent);
  });

  it('a model file that is not the one of the manifest', async () => {
    const options = await prepared(30);
    await writeFile(join(options.encoder, 'encoder.onnx'), 'another');
    await expect(quantiseEncoder(options, silent)).rejects.toMatchObject({ code: 'encoder_invalid' });
  });

  it('an encoder of TensorFlow.js', async () => {
    const options = await prepared(30);
    await writeManifest(options.encoder, ['encoder.onnx'], { format: 'tfjs' });
    await expect(quantiseEncoder(options, silent)).rejects.toMatchObject({ code: 'encoder_unsupported' });
  });
});

describe('the proof of a quantised encoder', () => {
  it('leaves room for roundings where there is attention, by what quantising loses, and never below 0.95', () => {
    const bound = (meanCosine: number, operator = 'Softmax') =>
      proofBound({ meanCosine, floatOperators: new Map([[operator, 1]]) });
    expect(bound(0.998)).toBeCloseTo(0.99, 5);
    expect(bound(0.99999)).toBe(0.999);
    expect(bound(0.5)).toBe(0.95);
    expect(bound(0.998, 'Div')).toBeUndefined();
  });
});
