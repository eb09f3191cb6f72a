import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeDrawnEncoder } from './drawn-encoder.js';
import { nearvote } from './in-process.js';
import { type Ran } from './nearvote.js';
import { writeSmallIndex } from './small-index.js';

const compare = (...args: string[]): Promise<Ran> => nearvote('compare', ...args);

/** Red and blue are as green as one another. */
const colours = { red: [200, 60, 40], green: [60, 200, 60], blue: [40, 60, 200] } as const;
const labels = ['red', 'green', 'blue'] as const;
const imagesPerLabel = 6;

/** One colour all over, a little lighter or darker by its number. */
function draw(label: keyof typeof colours, i: number): Promise<Buffer> {
  const [r, g, b] = colours[label].map((value) => value + 2 * i);
  return sharp({ create: { width: 8, height: 8, channels: 3, background: { r, g, b } } })
    .png()
    .toBuffer();
}

let base = '';
const at = (...parts: string[]): string => join(base, ...parts);

async function writeIndex(
  name: string,
  { encoder = 'colour', renamed = {} }: { encoder?: string; renamed?: Readonly<Record<string, string>> },
): Promise<void> {
  const images: { label: string; bytes: Buffer }[] = [];
  for (const label of labels) {
    for (let i = 0; i < 3; i++)
      images.push({ label: renamed[label] ?? label, bytes: await draw(label, 2 * i + 1) });
  }
  await writeSmallIndex({ root: at('index', name), encoderDir: at('models', encoder), images });
}

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-compare-'));
  // One tells red from blue, the other sees green alone.
  const colour = [[1, -1], [0, 0], [-1, 1]] as const; // prettier-ignore
  const green = [[0, 0], [1, 0], [0, 0]] as const; // prettier-ignore
  await writeDrawnEncoder({ dir: at('models', 'colour'), name: 'colour', weights: colour });
  await writeDrawnEncoder({ dir: at('models', 'green'), name: 'green', weights: green });
  for (const [folder, first] of [
    ['validation', 0],
    ['train', 1],
  ] as const) {
    for (const label of labels) {
      await mkdir(at(folder, label), { recursive: true });
      for (let i = 0; i < imagesPerLabel; i++) {
        await writeFile(at(folder, label, `${folder}-${i}.png`), await draw(label, first + 2 * i));
      }
    }
  }
  await writeIndex('right', {});
  await writeIndex('swapped', { renamed: { red: 'blue', blue: 'red' } });
  await writeIndex('crimson', { renamed: { red: 'crimson' } });
});
afterAll(() => rm(base, { recursive: true }));

const pair = (a: string, b: string): string[] => [at(a), at(b), '--models', at('models'), '--workers', '1'];
const data = (): string[] => ['--data', at('validation')];

interface Figures {
  readonly queries: number;
  readonly figures: {
    readonly accuracy: {
      readonly a: number;
      readonly b: number;
      readonly interval: { low: number; high: number };
    };
    readonly mapAtR: { readonly a: number; readonly b: number };
  };
  readonly mcnemar: { onlyFirstRight: number; onlySecondRight: number; exactP: number };
  readonly classes: readonly { label: string; recall: { a: number; b: number; difference: number } }[];
  readonly warnings: readonly string[];
}

test('two indexes, one with red and blue exchanged: the other is right where it is wrong', async () => {
  const { code, stdout } = await compare(
    ...pair('index/right', 'index/swapped'),
    ...data(),
    ...['--k', '3', '--json'],
  );
  expect(code).toBe(0);
  const report = JSON.parse(stdout) as Figures;
  expect(report).toMatchObject({ queries: 18 });
  expect(report.figures.accuracy).toMatchObject({ a: 1, b: 6 / 18 });
  // 12 images that only A gets right: by a fair coin twice in 2^12.
  expect(report.mcnemar).toMatchObject({ onlyFirstRight: 12, onlySecondRight: 0 });
  expect(report.mcnemar.exactP).toBeCloseTo(2 / 2 ** 12, 10);
  expect(report.classes.map(({ label, recall }) => [label, recall.a, recall.b])).toEqual([
    ['blue', 1, 0],
    ['green', 1, 1],
    ['red', 1, 0],
  ]);
});

test('two encoders on the same examples: one that sees only green mistakes red and blue alone', async () => {
  const { code, stdout } = await compare(
    ...pair('models/colour', 'models/green'),
    ...data(),
    ...['--examples', at('train'), '--k', '3', '--json', '--seed', '5', '--report', at('encoders.html')],
  );
  expect(code).toBe(0);
  const { figures, classes } = JSON.parse(stdout) as Figures;
  expect(figures.accuracy.a).toBe(1);
  expect(figures.mapAtR.a).toBe(1);
  expect(figures.accuracy.interval.high).toBeLessThan(0);
  expect(classes.find(({ label }) => label === 'green')?.recall).toMatchObject({ a: 1, b: 1 });
  // What it sees of red and blue is the same, so it can get at most one of each two right.
  const [red, blue] = ['red', 'blue'].map((name) => classes.find(({ label }) => label === name)?.recall.b);
  expect((red ?? NaN) + (blue ?? NaN)).toBeLessThanOrEqual(1);
  // Each has a map of its own.
  const html = await readFile(at('encoders.html'), 'utf8');
  expect(html.match(/<g class="points"><title>green<\/title>/g)).toHaveLength(2);
});

test('the figures come as tables, and the page the map of their one encoder and the images they differ on', async () => {
  const file = at('report.html');
  const { code, stdout } = await compare(
    ...pair('index/right', 'index/swapped'),
    ...data(),
    ...['--k', '3', '--report', file],
  );
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /accuracy +│ +100\.00 % +│ +33\.33 % +│ -66\.67 points \(-\d+\.\d\d to -\d+\.\d\d\)/,
  );
  const html = await readFile(file, 'utf8');
  expect(html).toContain(`A: ${at('index/right')}`);
  expect(html).toContain(`B: ${at('index/swapped')}`);
  expect(html.match(/<g class="points"><title>green<\/title>/g)).toHaveLength(1);
  expect(html).toContain('Only A is right');
  expect(html).not.toContain('Only B is right');
  expect(html.match(/data:image\/webp;base64,/g)).toHaveLength(12);
});

test('images that neither can decode are left out and told', async () => {
  const folder = at('damaged');
  await cp(at('validation'), folder, { recursive: true });
  await writeFile(join(folder, 'red', 'broken.png'), 'no image');
  const { code, stdout } = await compare(
    ...pair('index/right', 'index/swapped'),
    ...['--data', folder, '--k', '3', '--json'],
  );
  expect(code).toBe(0);
  const { queries, warnings } = JSON.parse(stdout) as Figures;
  expect(queries).toBe(18);
  expect(warnings.join('\n')).toContain('1 images could not be decoded, the first: red/broken.png');
});

test.each([
  ['the same index twice', 'index/right', 'index/right', [], /are the same index/],
  ['an encoder under two names', 'models/green', 'models/copy', ['--examples', 'x'], /are the same encoder/],
  ['an index and an encoder', 'index/right', 'models/green', [], /is an index and .* an encoder/],
  ['two encoders without examples', 'models/green', 'models/colour', [], /Expected --examples DIR/],
  [
    'two indexes with examples',
    'index/right',
    'index/swapped',
    ['--examples', 'x'],
    /Expected no --examples/,
  ],
  ['a folder of neither', 'index/right', 'validation', [], /with a file current, .* encoder\.json/],
  ['other labels', 'index/right', 'index/crimson', [], /only A has red, and only B has crimson/],
])('%s is wrong usage', async (_, a, b, more, message) => {
  if (b === 'models/copy') await cp(at('models/green'), at('models/copy'), { recursive: true });
  const { code, stderr } = await compare(...pair(a, b), ...data(), ...more);
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
});

test('what cannot be written, or asks for more neighbours than there are, fails', async () => {
  const two = [...pair('index/right', 'index/swapped'), ...data()];
  const nowhere = await compare(...two, '--report', at('no-such', 'report.html'));
  expect(nowhere.stderr).toContain('[output_unwritable]');
  expect(nowhere.code).toBe(1);
  const wide = await compare(...two, '--k', '10');
  expect(wide.stderr).toContain('Expected k to be at most 9, the size of the index, but received 10');
  expect(wide.code).toBe(1);
});
