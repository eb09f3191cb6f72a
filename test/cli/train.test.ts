import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/domain/seeded-random.js';
import { encoderManifestSchema } from '../../src/encoder/manifest.js';
import { obeysTheContract } from '../encoder/served-contract.js';
import { nearvoteHere } from './in-process.js';
import { cli, killAfterTest, nearvoteIn, type Ran } from './nearvote.js';

let folder: string;

/** Stripes one way or the other, in any colours: nothing but the shape tells the labels apart. */
async function drawStripes(
  dir: string,
  counts: Readonly<Record<string, number>>,
  seed: number,
): Promise<void> {
  const random = seededRandom(seed);
  for (const [label, count] of Object.entries(counts)) {
    await mkdir(join(dir, label), { recursive: true });
    for (let i = 0; i < count; i++) {
      const colours = Array.from({ length: 6 }, () => Math.floor(random() * 256));
      const phase = Math.floor(random() * 6);
      const pixels = Buffer.alloc(16 * 16 * 3);
      for (let at = 0; at < 256; at++) {
        const along = label === 'across' ? Math.floor(at / 16) : at % 16;
        const band = Math.floor((along + phase) / 3) % 2;
        for (let c = 0; c < 3; c++) pixels[3 * at + c] = colours[3 * band + c] ?? 0;
      }
      const png = await sharp(pixels, { raw: { width: 16, height: 16, channels: 3 } })
        .png()
        .toBuffer();
      await writeFile(join(dir, label, `${i}.png`), png);
    }
  }
}

function configText(more: Readonly<Record<string, string>> = {}): string {
  const keys = {
    name: 'stripes',
    licence: 'CC0-1.0',
    data: '{ train: data/train, validation: data/validation }',
    model: '{ architecture: compact, widths: [8, 16, 16], inputSize: 16, fit: fill }',
    batch: '16',
    epochs: '30',
    optimizer: '{ kind: adamw, learningRate: 0.003 }',
    ema: '{ decay: 0.9 }',
    augment: '[{ kind: colourJitter, probability: 1 }]',
    validation: '{ every: 10, k: 5 }',
    threads: '1',
    ...more,
  };
  return Object.entries(keys)
    .map(([key, value]) => `${key}: ${value}\n`)
    .join('');
}

async function writeConfig(name: string, more?: Readonly<Record<string, string>>): Promise<string> {
  await writeFile(join(folder, name), configText(more));
  return name;
}

/** Trains in a process of its own: the threads that make views need what is built. */
const run = (...args: string[]): Promise<Ran> => nearvoteIn(folder, 'train', ...args);

/** What is refused before any training begins, in this process. */
const refused = (...args: string[]): Promise<Ran> => nearvoteHere(folder, ['train', ...args]);

/** A training that goes on while the test does; it ends with the test at the latest. */
function begin(config: string) {
  const child = spawn(process.execPath, [cli, 'train', config], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  killAfterTest(child);
  return child;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nearvote-train-'));
  await drawStripes(join(folder, 'data/train'), { across: 48, along: 48 }, 1);
  await drawStripes(join(folder, 'data/validation'), { across: 20, along: 20 }, 2);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('nearvote train', () => {
  it('writes an encoder that serves, learned what tells the labels apart, and says with which figures', async () => {
    const config = await writeConfig('whole.yml', { name: 'whole', epochs: '40' });
    const done = await run(config, '--json');
    expect(done.stderr).toMatch(/epoch 10\/40 {2}loss \d+\.\d+ {2}rate .*precision@1 .*head: precision@1/);
    expect(done.code).toBe(0);
    const report = JSON.parse(done.stdout) as { ended: string; metrics: Record<string, number> };
    expect(report.ended).toBe('epochs');
    expect(report.metrics.steps).toBeOneOf([60, 120, 180, 240]);
    // Half of them by chance.
    expect(report.metrics['precision@1']).toBeGreaterThan(0.8);

    const out = join(folder, 'models/whole');
    const manifest = encoderManifestSchema.parse(
      JSON.parse(await readFile(join(out, 'encoder.json'), 'utf8')),
    );
    expect(manifest).toMatchObject({ name: 'whole', licence: 'CC0-1.0', metrics: report.metrics });
    expect(manifest.configHash).toMatch(/^[0-9a-f]{64}$/);
    const card = await readFile(join(out, 'README.md'), 'utf8');
    expect(card).toContain('96 images of 2 labels');
    expect(card.split('| epoch | seconds | loss | precision@1 | head: precision@1 |')[1]).toMatch(
      /^\n\| --- .*(\n\| [1234]0 \| \d+ \| \d+\.\d{4} \| [01](\.\d{4})? \| [01](\.\d{4})? \|){4}\n$/,
    );
    expect(await readFile(join(out, 'config.yml'), 'utf8')).toBe(configText({ name: 'whole', epochs: '40' }));
    const history = (await readFile(join(out, 'history.jsonl'), 'utf8')).trim().split('\n');
    expect(history).toHaveLength(40);
    expect(await readFile(join(folder, 'runs/whole/train.log'), 'utf8')).toContain('epoch 40/40');
  }, 120_000);

  describe('whose encoder is served', () => obeysTheContract(() => join(folder, 'models/whole')));

  it('killed with -9 and begun again ends with the very same encoder', async () => {
    const config = await writeConfig('killed.yml', { name: 'killed', checkpoint: '{ everyMinutes: 0.001 }' });
    expect((await run(config, '--out', 'models/never-killed', '--run', 'runs/never-killed')).code).toBe(0);
    const child = begin(config);
    child.stderr.resume();
    const exited = once(child, 'exit');
    await expect
      .poll(
        () =>
          stat(join(folder, 'runs/killed/last.checkpoint')).then(
            () => true,
            () => false,
          ),
        {
          timeout: 60_000,
          interval: 5,
        },
      )
      .toBe(true);
    child.kill('SIGKILL');
    await exited;
    const again = await run(config);
    expect(again.stderr).toMatch(/going on with killed from step \d+/);
    expect(again.code).toBe(0);
    const model = (name: string): Promise<Buffer> => readFile(join(folder, 'models', name, 'encoder.onnx'));
    expect((await model('killed')).equals(await model('never-killed'))).toBe(true);
  }, 180_000);

  it('told to stop ends with a checkpoint, status 1 and no encoder, and goes on later', async () => {
    const config = await writeConfig('stopped.yml', { name: 'stopped', epochs: '500' });
    const child = begin(config);
    let stderr = '';
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()));
    await expect.poll(() => stderr, { timeout: 60_000, interval: 10 }).toContain('epoch 2/500');
    expect((await refused(config)).stderr).toMatch(/but process \d+ .* \[output_unwritable\]/);
    child.kill('SIGINT');
    expect(await once(child, 'exit')).toEqual([1, null]);
    expect(stderr).toMatch(/stopped at step \d+/);
    expect(await readdir(join(folder, 'runs/stopped'))).toContain('last.checkpoint');
    await expect(stat(join(folder, 'models/stopped'))).rejects.toThrow('ENOENT');
    const budget = await run(config, '--budget', '1s');
    expect(budget.stderr).toContain('going on with stopped');
    expect(budget.code).toBe(0);
    expect(budget.stdout).toContain('the budget is spent');
  }, 120_000);

  it('keeps the config it was trained by, though the file is gone by then', async () => {
    const config = await writeConfig('gone.yml', { name: 'gone', epochs: '5' });
    const child = begin(config);
    await once(child.stderr, 'data');
    await rm(join(folder, config));
    expect(await once(child, 'exit')).toEqual([0, null]);
    const kept = await readFile(join(folder, 'models/gone/config.yml'), 'utf8');
    expect(kept).toBe(configText({ name: 'gone', epochs: '5' }));
  }, 60_000);

  it('draws a contact sheet and trains nothing with --preview', async () => {
    const config = await writeConfig('seen.yml', { name: 'seen' });
    expect(await run(config, '--preview', 'views.png')).toMatchObject({ code: 0 });
    expect(await sharp(await readFile(join(folder, 'views.png'))).metadata()).toMatchObject({
      format: 'png',
      channels: 3,
    });
    await expect(stat(join(folder, 'runs/seen'))).rejects.toThrow('ENOENT');
  }, 60_000);

  it.each<[string, Readonly<Record<string, string>>, RegExp]>([
    ['an unknown key', { epoches: '3' }, /line 12: epoches: Expected one of the keys .*\[config_invalid\]/],
    [
      'a folder that is not there',
      { data: '{ train: nowhere }' },
      /dataset at nowhere .*; data\.train of bad\.yml names it \[dataset_missing\]/,
    ],
    [
      'a validation folder that is not there',
      { data: '{ train: data/train, validation: nowhere }' },
      /dataset at nowhere .*; data\.validation of bad\.yml names it \[dataset_missing\]/,
    ],
    ['an empty folder', { data: '{ train: empty }' }, /\[dataset_invalid\]/],
    [
      'a class with one image',
      { data: '{ train: lonely }' },
      /two images of every class .* along has only one/,
    ],
    [
      'images smaller than the crop',
      { model: '{ architecture: compact, inputSize: 64 }' },
      /at least 64 pixels on their shorter side/,
    ],
    [
      'a crop too small for the architecture',
      { model: '{ architecture: compact, inputSize: 8 }' },
      /at least \d+ pixels/,
    ],
    ['fewer images than a batch', { batch: '500' }, /at least one batch of 500 images but received 96/],
    [
      'validation labels that are not trained on',
      { data: '{ train: data/train, validation: others }' },
      /labels of the training images, such as across, along/,
    ],
  ])(
    'says what is wrong with %s',
    async (_what, more, message) => {
      await mkdir(join(folder, 'empty'), { recursive: true });
      await drawStripes(join(folder, 'lonely'), { across: 3, along: 1 }, 3);
      await drawStripes(join(folder, 'others'), { circle: 2 }, 4);
      const done = await refused(await writeConfig('bad.yml', { name: 'bad', ...more }));
      expect(done.stderr).toMatch(message);
      expect(done.code).toBe(done.stderr.includes('[usage]') ? 2 : 1);
      await expect(stat(join(folder, 'models/bad'))).rejects.toThrow('ENOENT');
    },
    60_000,
  );

  it('says what is wrong with a rate at which it diverges', async () => {
    const optimizer = '{ kind: sgd, learningRate: 1e30 }';
    const done = await run(await writeConfig('diverged.yml', { name: 'diverged', optimizer }));
    expect(done.stderr).toMatch(/gave loss .* Try a lower optimizer.learningRate.*\[training_diverged\]/);
    expect(done.code).toBe(1);
    await expect(stat(join(folder, 'models/diverged'))).rejects.toThrow('ENOENT');
  }, 60_000);

  it('refuses a checkpoint of another config and an encoder that is there', async () => {
    const config = await writeConfig('twice.yml', { name: 'twice', epochs: '1' });
    expect((await run(config)).code).toBe(0);
    expect((await refused(config)).stderr).toContain('--force replaces it');
    const other = await writeConfig('twice.yml', { name: 'twice', epochs: '2' });
    expect((await refused(other, '--force')).stderr).toMatch(
      /checkpoint of the config twice .* \[checkpoint_invalid\]/,
    );
    expect((await run(other, '--force', '--fresh')).code).toBe(0);
  }, 120_000);
});
