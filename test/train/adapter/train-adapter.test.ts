import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
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
    expect(lines).toContain('kept: epoch 2 of 2, the best by precision@1, 1.0000');
  });

  it('warns that the adapter is no better where the encoder alone was right already', async () => {
    const [out, run] = [join(base, 'no-better'), join(base, 'no-better-run')];
    const { warning } = await trainAdapter({ ...told(), ...options(), out, run });
    expect(warning).toBe(
      'The adapter is no better than the encoder alone on the held-out images (precision@1 1.0000 against 1.0000): keep the encoder.',
    );
    expect(await readFile(join(run, 'train.log'), 'utf8')).toContain(warning);
  });

  it('counts the time of embedding the views', async () => {
    const now = performance.now.bind(performance);
    let later = 0;
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + later);
    const { progress, narration } = told();
    const start: typeof progress.start = ({ unit }) => void (later += unit === 'views' ? 1e6 : 0);
    const [out, run] = [join(base, 'timed'), join(base, 'timed-run')];
    try {
      const ports = { progress: { ...progress, start }, narration };
      const { metrics } = await trainAdapter({ ...ports, ...options(), out, run });
      expect(metrics.seconds).toBeGreaterThanOrEqual(1000);
    } finally {
      clock.mockRestore();
    }
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
