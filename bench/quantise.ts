/* What int8 gains and costs: `npx tsx bench/quantise.ts --shared DIR [--only NAME] [--skip-accuracy] [--examples N]`.
   DIR holds data/cifar10, data/clothing, models/cifar10-wide and models/efficientnet-lite0. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { markdownTable } from '../src/domain/markdown-table.js';
import type { Progress } from '../src/domain/progress.js';
import { seededRandom } from '../src/domain/seeded-random.js';
import { addEncoder } from '../src/encoder/add/add-encoder.js';
import type { Encoder } from '../src/encoder/encoder.js';
import { loadEncoder } from '../src/encoder/load.js';
import { answersOf } from '../src/evaluate/measure-accuracy.js';
import { bootstrapDifference } from '../src/evaluate/metrics/intervals.js';
import { resizeTo } from '../src/image/geometry.js';
import { createExactSearcher } from '../src/neighbours/exact.js';
import {
  layerColumns,
  layerRows,
  quantiseEncoder,
  trialColumns,
  trialRows,
} from '../src/quantise/quantise-encoder.js';
import { defaultVote } from '../src/vote/rules.js';
import { embedAll } from './embed-all.js';
import { writeWideEncoder } from './wide-encoder.js';

const { values: flags } = parseArgs({
  options: {
    shared: { type: 'string', default: '../shared' },
    only: { type: 'string' },
    out: { type: 'string' },
    examples: { type: 'string' },
    processors: { type: 'string', default: 'any' },
    'skip-accuracy': { type: 'boolean', default: false },
  },
});

interface Target {
  readonly name: string;
  /** Makes the folder of the float encoder. */
  readonly float: (dir: string) => Promise<string>;
  readonly data: string;
  readonly examples: { readonly path: string; readonly split: 'train' };
  readonly queries: { readonly path: string; readonly split: 'test' };
  readonly batch: number;
}

const { shared } = flags;
const cifar = join(shared, 'data/cifar10');
const clothing = join(shared, 'data/clothing');
const plain = { force: true, version: '1.0.0', trainedOn: [] } as const;
const cifarData = {
  data: cifar,
  examples: { path: cifar, split: 'train' },
  queries: { path: cifar, split: 'test' },
  batch: 16,
} as const;
const targets: readonly Target[] = [
  { name: 'cifar10-compact', float: () => Promise.resolve('models/cifar10-compact'), ...cifarData },
  {
    name: 'cifar10-wide',
    float: (dir) => writeWideEncoder(shared, join(dir, 'cifar10-wide')),
    ...cifarData,
  },
  {
    name: 'efficientnet-lite0',
    float: async (dir) => {
      const out = join(dir, 'efficientnet-lite0');
      const path = join(shared, 'models/efficientnet-lite0/encoder-float.onnx');
      const [mean, std] = [[0.498, 0.498, 0.498] as const, [0.502, 0.502, 0.502] as const];
      const preprocessing = { layout: 'nchw', channels: 'rgb', scale: 255, mean, std } as const;
      const geometry = resizeTo({ width: 224, height: 224, fit: 'cover', kernel: 'cubic' });
      await addEncoder({
        ...plain,
        geometry,
        path,
        dir: out,
        name: 'efficientnet-lite0',
        preprocessing,
        licence: 'Apache-2.0',
      });
      return out;
    },
    data: join(clothing, 'train'),
    examples: { path: join(clothing, 'train'), split: 'train' },
    queries: { path: join(clothing, 'validation'), split: 'test' },
    batch: 4,
  },
];

const quiet: Progress = { start: () => undefined, advance: () => undefined, finish: () => undefined };

/** Milliseconds an image, float and int8 in turn, so that whatever else runs meets both. */
async function timeBoth(
  dirs: readonly [string, string],
  threads: number,
  batch: number,
): Promise<number[][]> {
  const encoders = await Promise.all(dirs.map((dir) => loadEncoder(dir, { threads })));
  const times: number[][] = dirs.map(() => []);
  const { width, height } = (encoders[0] as Encoder).manifest.input;
  const pixels = Uint8Array.from(
    { length: batch * width * height * 3 },
    (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 24,
  );
  const rounds = 40;
  for (let round = -3; round < rounds; round++) {
    for (const [i, encoder] of encoders.entries()) {
      const started = performance.now();
      await encoder.embed(pixels, batch);
      if (round >= 0) times[i]?.push((performance.now() - started) / batch);
    }
  }
  for (const encoder of encoders) await encoder.close();
  return times;
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? NaN;
}

const ks = [1, 5, 20] as const;

/** Of each query whether the vote is right, at each k. */
async function correctness(dir: string, target: Target): Promise<number[][]> {
  const { examples, queries } = target;
  const maxPerClass = flags.examples === undefined ? undefined : Number(flags.examples);
  const known = await embedAll(dir, examples.path, { split: examples.split, maxPerClass });
  const asked = await embedAll(dir, queries.path, queries);
  const searcher = await createExactSearcher({
    embeddings: known.embeddings,
    threads: availableParallelism(),
  });
  const found = await searcher.search(asked.embeddings, Math.max(...ks));
  const neighbourhoods = { found, examples: known.labels.map((label) => ({ id: '', label, source: '' })) };
  return ks.map((k) =>
    answersOf(neighbourhoods, k, defaultVote).map(({ label }, i) => (label === asked.labels[i] ? 1 : 0)),
  );
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const points = (value: number): string => (100 * value).toFixed(2);

async function measure(target: Target, dir: string): Promise<void> {
  const float = await target.float(dir);
  const out = join(flags.out ?? dir, `${target.name}-int8`);
  const started = performance.now();
  const result = await quantiseEncoder(
    {
      ...{
        encoder: float,
        data: target.data,
        split: 'train',
        maxImageBytes: 20_000_000,
        out,
        name: `${target.name}-int8`,
      },
      ...{
        force: true,
        images: 512,
        seed: 0,
        threads: availableParallelism(),
        floatShare: 0.02,
      },
      processors: flags.processors === 'vnni' ? 'vnni' : 'any',
    },
    quiet,
  );
  console.log(`\n## ${target.name}\n`);
  console.log(
    `${((performance.now() - started) / 1000).toFixed(0)} s to quantise; ${(result.bytes.int8 / 1e6).toFixed(2)} of ${(result.bytes.float / 1e6).toFixed(2)} MB\n`,
  );
  console.log(`${markdownTable(trialColumns, trialRows(result))}\n`);
  console.log(`${markdownTable(layerColumns, layerRows(result))}\n`);
  const rows: string[][] = [];
  for (const threads of [1, 2]) {
    const [a = [], b = []] = await timeBoth([float, out], threads, target.batch);
    const ratios = a.map((value, i) => value / (b[i] ?? NaN));
    rows.push([String(threads), median(a).toFixed(2), median(b).toFixed(2), median(ratios).toFixed(2)]);
  }
  console.log(`${markdownTable(['threads', 'float ms an image', 'int8', 'images/s int8 / float'], rows)}\n`);
  if (flags['skip-accuracy']) return;
  const [before, after] = [await correctness(float, target), await correctness(out, target)];
  const accuracy = ks.map((k, i) => {
    const [x = [], y = []] = [before[i], after[i]];
    const { low, high } = bootstrapDifference(y, x, { random: seededRandom(0), resamples: 2_000 });
    return [
      String(k),
      points(mean(x)),
      points(mean(y)),
      points(mean(y) - mean(x)),
      `${points(low)} to ${points(high)}`,
    ];
  });
  console.log(
    markdownTable(['k', 'float %', 'int8 %', 'difference, points', '95 % interval, paired'], accuracy),
  );
}

console.log(
  `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, for ${flags.processors} processors`,
);
const dir = await mkdtemp(join(tmpdir(), 'nearvote-quantise-'));
try {
  for (const target of targets)
    if (flags.only === undefined || flags.only === target.name) await measure(target, dir);
} finally {
  await rm(dir, { recursive: true, force: true });
}
