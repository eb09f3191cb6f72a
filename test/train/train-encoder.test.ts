import { mkdir, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { previewEncoder, trainEncoder } from '../../src/train/train-encoder.js';
import { told } from './told.js';

const viewWorker = new URL('../../dist/train/view-worker.js', import.meta.url);
let base = '';
let config = { text: '', file: 'colours.yml' };

describe('training an encoder, without a command line', () => {
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-train-'));
    for (const [label, r] of [
      ['red', 200],
      ['black', 20],
    ] as const) {
      await mkdir(join(base, 'images', label), { recursive: true });
      for (let i = 0; i < 4; i++) {
        const background = { r: r + i, g: 20, b: 20 + i };
        const picture = sharp({ create: { width: 12, height: 12, channels: 3, background } });
        await picture.png().toFile(join(base, 'images', label, `${i}.png`));
      }
    }
    const text = `name: colours
data: { train: ${JSON.stringify(join(base, 'images'))} }
model: { architecture: compact, widths: [4], inputSize: 12 }
batch: 4
epochs: 2
optimizer: { kind: sgd, learningRate: 0.01 }
augment: []
`;
    config = { ...config, text };
  });
  afterAll(() => rm(base, { recursive: true, force: true }));

  it('gives back the folder that it wrote and why it ended', async () => {
    const { lines, ...ports } = told();
    const out = join(base, 'model');
    const result = await trainEncoder({
      ...ports,
      config,
      out,
      run: join(base, 'run'),
      threads: 1,
      viewWorker,
    });
    expect(result).toMatchObject({ out, ended: 'epochs', metrics: { steps: 4 } });
    expect(await readdir(out)).toContain('encoder.onnx');
    expect(lines.map((line) => line.split('  ')[0])).toEqual([
      'training colours: 8 images, 2 steps an epoch, 1 threads',
      'epoch 1/2',
      'epoch 2/2',
      'kept: epoch 2 of 2, the last',
    ]);
    expect(await readFile(join(base, 'run', 'train.log'), 'utf8')).toBe(lines.join('\n') + '\n');
    expect(ports.progress.advanced).toBe(8);
  });

  it('writes a checkpoint and no encoder where it is told to stop, and goes on from there', async () => {
    const stop = new AbortController();
    const { narration, progress } = told();
    const stopping = {
      say: (line: string) => {
        narration.say(line);
        if (line.startsWith('epoch 1/2')) stop.abort();
      },
      show: narration.show,
    };
    const places = { out: join(base, 'stopped'), run: join(base, 'stopped-run'), threads: 1, viewWorker };
    const training = trainEncoder({
      ...places,
      config,
      progress,
      narration: stopping,
      stop: stop.signal,
    });
    await expect(training).rejects.toMatchObject({
      code: 'shutting_down',
      message: expect.stringContaining('stopped at step 2') as string,
    });
    expect(await readdir(base)).not.toContain('stopped');
    const { lines, ...ports } = told();
    expect(await trainEncoder({ ...ports, ...places, config })).toMatchObject({ metrics: { steps: 4 } });
    expect(lines[0]).toContain('going on with colours from step 2');
  });

  it('refuses to go on reading images once it is told to stop', async () => {
    const out = join(base, 'never');
    const training = trainEncoder({ ...told(), config, out, run: out, stop: AbortSignal.abort() });
    await expect(training).rejects.toMatchObject({ code: 'shutting_down' });
    expect(await readdir(base)).not.toContain('never');
  });

  it('draws the views that it would see and trains nothing', async () => {
    const before = await readdir(base);
    const png = await previewEncoder({ ...told(), config });
    // A row for each image of a batch, 8 times as large; 4 pixels between.
    expect(await sharp(png).metadata()).toMatchObject({ format: 'png', height: 4 + 4 * (96 + 4) });
    expect(await readdir(base)).toEqual(before);
  });
});
