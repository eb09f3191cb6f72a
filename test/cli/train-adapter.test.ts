import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/domain/seeded-random.js';
import { loadEncoder } from '../../src/encoder/load.js';
import { writeTinyBackbone } from '../train/adapter/tiny-backbone.js';
import { nearvoteIn, type Ran } from './nearvote.js';

let base = '';

const train = (...args: string[]): Promise<Ran> => nearvoteIn(base, 'train', ...args, '--threads', '1');

const labels = ['dim', 'lit', 'bright'];

/** Blue says the label; red and green, ten times as loud, say nothing. */
async function drawPhotos(dir: string, count: number, seed: number): Promise<void> {
  const random = seededRandom(seed);
  for (const [i, label] of labels.entries()) {
    await mkdir(join(dir, label), { recursive: true });
    for (let n = 0; n < count; n++) {
      const background = { r: Math.floor(256 * random()), g: Math.floor(256 * random()), b: 40 + 25 * i };
      const picture = sharp({ create: { width: 12, height: 12, channels: 3, background } });
      await picture.png().toFile(join(dir, label, `${n}.png`));
    }
  }
}

const config = `name: blue
data: { train: train, validation: validation }
views: 2
adapter: { kind: mlp, hidden: 16 }
batch: 64
epochs: 150
optimizer: { kind: adamw, learningRate: 0.01, weightDecay: 0 }
temperature: 0.1
augment:
  - { kind: horizontalFlip }
validation: { every: 50, k: 5, metric: accuracy }
`;

describe('nearvote train --backbone', () => {
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-adapter-'));
    await writeTinyBackbone(join(base, 'backbone'));
    await drawPhotos(join(base, 'train'), 40, 1);
    await drawPhotos(join(base, 'validation'), 20, 2);
    await writeFile(join(base, 'blue.yml'), config);
  });
  afterAll(() => rm(base, { recursive: true, force: true }));

  it('writes an encoder whose neighbours are better than the backbone alone', async () => {
    const { code, stdout, stderr } = await train('--backbone', 'backbone', 'blue.yml', '--json');
    expect(stderr).toContain('epoch 150/150');
    expect(code).toBe(0);
    const { out, metrics } = JSON.parse(stdout) as { out: string; metrics: Record<string, number> };
    expect(out).toBe('models/blue');
    expect(metrics.accuracy).toBeGreaterThan(0.9);
    expect(metrics['backbone: accuracy']).toBeLessThan(0.75);

    const dir = join(base, out);
    expect((await readdir(dir)).toSorted()).toEqual([
      'README.md',
      'config.yml',
      'encoder.json',
      'encoder.onnx',
      'history.jsonl',
      expect.stringMatching(/^trained-images-[0-9a-f]{8}\.bin$/),
    ]);
    const encoder = await loadEncoder(dir, { threads: 1 });
    expect(encoder.manifest).toMatchObject({
      name: 'blue',
      input: { width: 8, height: 8, geometry: { fit: 'fill' } },
      output: { dimension: 4 },
      trainedOn: ['colours', 'train'],
      trainedImages: { count: 120, datasets: ['train'] },
      licence: 'MIT',
      metrics,
    });
    // Two greys and the same blue are near one another, whatever their red and green.
    const image = (colour: readonly number[]) => Array.from({ length: 64 }, () => colour).flat();
    const pixels = [
      [20, 220, 40],
      [220, 20, 40],
      [20, 220, 90],
    ].flatMap(image);
    const { values } = await encoder.embed(Uint8Array.from(pixels), 3);
    await encoder.close();
    const cosine = (a: number, b: number): number =>
      [0, 1, 2, 3].reduce((sum, i) => sum + (values[4 * a + i] ?? NaN) * (values[4 * b + i] ?? NaN), 0);
    expect(cosine(0, 1)).toBeGreaterThan(cosine(0, 2));

    const card = await readFile(join(dir, 'README.md'), 'utf8');
    expect(card).toContain('the encoder tiny 1.0.0');
    expect(card).toContain('| backbone: accuracy |');
    const history = (await readFile(join(dir, 'history.jsonl'), 'utf8')).trim().split('\n');
    expect(history).toHaveLength(150);
  });

  it('goes on where it was, and refuses the checkpoints of another backbone', async () => {
    const again = await train('--backbone', 'backbone', 'blue.yml', '--force');
    expect(again.stderr).toContain('going on with blue from step 150');
    expect(again.code).toBe(0);
    await writeTinyBackbone(join(base, 'other'), { opset: 16 });
    const other = await train('--backbone', 'other', 'blue.yml', '--force');
    expect(other.stderr).toContain('[checkpoint_invalid]');
    expect(other.code).toBe(1);
  });

  it('says to keep the encoder where the adapter gains nothing, in place of what to do next', async () => {
    // The nearest of each image is that image itself, with the adapter and without it.
    const gainless = config
      .replace('name: blue', 'name: gainless')
      .replace('train: train', 'train: validation')
      .replace('epochs: 150', 'epochs: 1')
      .replace('k: 5', 'k: 1');
    await writeFile(join(base, 'gainless.yml'), gainless);
    const { code, stdout, stderr } = await train('--backbone', 'backbone', 'gainless.yml');
    expect(stdout).toMatch(
      /no better than the encoder alone on the held-out images .*: keep the encoder\.\n$/,
    );
    expect(stdout).not.toContain('Next:');
    expect(stderr).toContain('kept: epoch 1 of 1, the best by accuracy, ');
    expect(code).toBe(0);
  });

  it('draws the views without training', async () => {
    const { code } = await train('--backbone', 'backbone', 'blue.yml', '--preview', 'views.png');
    expect(code).toBe(0);
    expect(await sharp(join(base, 'views.png')).metadata()).toMatchObject({ format: 'png' });
  });

  it.each([
    ['no backbone', [], {}, 2, /Expected --backbone DIR, or backbone: in .*\[usage\]/],
    ['a backbone that is not there', ['--backbone', 'none'], {}, 1, /none.*\[encoder_missing\]/],
    [
      'a class of one image',
      ['--backbone', 'backbone'],
      { train: 'single' },
      1,
      /lone has only one.*dataset_invalid/,
    ],
    ['an empty folder', ['--backbone', 'backbone'], { train: 'empty' }, 1, /\[dataset_invalid\]/],
    ['too many dimensions', ['--backbone', 'backbone'], { dimension: 5 }, 1, /at most 4.*\[config_invalid\]/],
    ['a rate that diverges', ['--backbone', 'backbone'], { rate: 1e30 }, 1, /\[training_diverged\]/],
    [
      'too small a storage',
      ['--backbone', 'backbone'],
      { storage: 8 },
      1,
      /data.storageSize.*\[config_invalid\]/,
    ],
  ] as const)('says what is wrong with %s', async (name, args, changes, code, message) => {
    await drawPhotos(join(base, 'single'), 3, 3);
    await mkdir(join(base, 'single', 'lone'), { recursive: true });
    const background = { r: 1, g: 2, b: 3 };
    await sharp({ create: { width: 12, height: 12, channels: 3, background } })
      .png()
      .toFile(join(base, 'single', 'lone', 'one.png'));
    await mkdir(join(base, 'empty'), { recursive: true });
    const {
      train: folder = 'train',
      dimension,
      rate = 0.01,
      storage,
    } = changes as {
      train?: string;
      dimension?: number;
      rate?: number;
      storage?: number;
    };
    const text = config
      .replace('train: train', `train: ${folder}${storage === undefined ? '' : ', storageSize: 8'}`)
      .replace('hidden: 16', `hidden: 16${dimension === undefined ? '' : `, dimension: ${dimension}`}`)
      .replace('0.01', String(rate));
    const file = `${name.replaceAll(' ', '-')}.yml`;
    await writeFile(join(base, file), text);
    if (storage !== undefined) await writeTinyBackbone(join(base, 'backbone16'), { size: 16 });
    const backbone = storage === undefined ? args : ['--backbone', 'backbone16'];
    const ran = await train(...backbone, file, '--out', join('models', name), '--run', join('runs', name));
    expect(ran.stderr).toMatch(message);
    expect(ran.code).toBe(code);
    await expect(readdir(join(base, 'models', name))).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
