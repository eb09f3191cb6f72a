import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { previewAdapter, trainAdapter } from '../../../src/train/adapter/train-adapter.js';
import { told } from '../told.js';
import { writeTinyBackbone } from './tiny-backbone.js';

let base = '';
let config = { text: '', file: 'adapter.yml' };

describe('training an adapter, without a command line', () => {
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-train-adapter-'));
    await writeTinyBackbone(join(base, 'backbone'));
    for (const [label, b] of [
      ['blue', 200],
      ['black', 20],
    ] as const) {
      await mkdir(join(base, 'images', label), { recursive: true });
      for (let i = 0; i < 3; i++) {
        const background = { r: 20 + i, g: 20, b: b + i };
        const picture = sharp({ create: { width: 8, height: 8, channels: 3, background } });
        await picture.png().toFile(join(base, 'images', label, `${i}.png`));
      }
    }
    const images = JSON.stringify(join(base, 'images'));
    const text = `name: blue
data: { train: ${images}, validation: ${images} }
views: 2
adapter: { kind: linear }
epochs: 2
optimizer: { kind: adamw, learningRate: 0.001 }
augment: []
validation: { k: 3 }
`;
    config = { ...config, text };
  });
  afterAll(() => rm(base, { recursive: true, force: true }));

  const options = () => ({ config, backbone: join(base, 'backbone'), threads: 1 });

  it('gives back the folder that it wrote and the figures before and after', async () => {
    const { lines, ...ports } = told();
    const out = join(base, 'model');
    const result = await trainAdapter({ ...ports, ...options(), out, run: join(base, 'run') });
    // The images that vote are those that are asked about, and no two labels look alike.
    const figures = { accuracy: 1, 'backbone: accuracy': 1, 'precision@1': 1 };
    expect(result).toMatchObject({ out, ended: 'epochs', metrics: figures });
    expect(await readdir(out)).toContain('encoder.onnx');
    expect(lines).toContain('backbone: accuracy 1.0000');
  });

  it('asks for the encoder to train on where neither the options nor the config name one', async () => {
    const training = trainAdapter({ ...told(), config });
    await expect(training).rejects.toMatchObject({ code: 'usage' });
  });

  it('draws the views that it would see', async () => {
    const png = await previewAdapter({ ...told(), ...options() });
    expect(await sharp(png).metadata()).toMatchObject({ format: 'png' });
  });
});
