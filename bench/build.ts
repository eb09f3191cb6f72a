/* How much of the encoder's own rate a build reaches, in one run.  npm run build && npx tsx bench/build.ts */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { openDataset } from '../src/image/dataset/open-dataset.js';
import { markdownTable } from './markdown-table.js';

const local = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const encoder = local('models/cifar10-compact');
const cifar = local('../shared/data/cifar10');
const rounds = Number(process.argv[2] ?? 3);
const workers = availableParallelism();
const size = 32 * 32 * 3;
const images = 10_000;

/** One worker's share, in this process and nothing else: batches of 32 from memory, one thread. */
async function encodeAlone(count: number): Promise<void> {
  const { loadEncoder } = await import('../src/encoder/load.js');
  const one = await loadEncoder(encoder, { threads: 1 });
  const batch = Uint8Array.from({ length: 32 * size }, (_, i) => (i * 2654435761) >>> 13);
  await one.embed(batch, 32);
  const started = performance.now();
  for (let done = 0; done < count; done += 32) await one.embed(batch, 32);
  process.stdout.write(String((count * 1_000) / (performance.now() - started)));
}

/** Images/s of as many encoders at once as a build has workers. */
async function encoderRate(): Promise<number> {
  const { spawn } = await import('node:child_process');
  const share = Math.ceil(images / workers / 32) * 32;
  const rates = await Promise.all(
    Array.from(
      { length: workers },
      () =>
        new Promise<number>((resolve, reject) => {
          const args = [...process.execArgv, local('bench/build.ts'), 'alone', String(share)];
          const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
          let text = '';
          child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
          child.once('error', reject);
          child.once('close', () => resolve(Number(text)));
        }),
    ),
  );
  return rates.reduce((sum, rate) => sum + rate, 0);
}

interface Measured {
  /** Images/s while embedding, and over the whole command, start and measuring included. */
  readonly embedding: number;
  readonly whole: number;
}

/** A build as a user runs it, into an empty folder: nothing is in its cache. */
async function buildRate(data: string): Promise<Measured> {
  const out = await mkdtemp(join(tmpdir(), 'nearvote-bench-'));
  const args = ['build', '--data', data, '--split', 'test', '--encoder', encoder, '--out', out, '--json'];
  const started = performance.now();
  const { stdout } = spawnSync(process.execPath, [local('dist/cli/main.js'), ...args], {
    maxBuffer: 1 << 26,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const whole = (performance.now() - started) / 1_000;
  await rm(out, { recursive: true });
  const report = JSON.parse(stdout.toString()) as { embedded: number; embedSeconds: number };
  if (report.embedded !== images)
    throw new Error(`Expected ${images} images but received ${report.embedded}`);
  return { embedding: images / report.embedSeconds, whole: images / whole };
}

/** The same images as a folder of PNGs, one folder a class. */
async function writePngs(dir: string): Promise<void> {
  for await (const image of (await openDataset(cifar, { split: 'test' })).images()) {
    const content = await image.read();
    if (content.kind !== 'pixels') continue;
    const folder = join(dir, image.label);
    await mkdir(folder, { recursive: true });
    const raw = { width: content.width, height: content.height, channels: 3 } as const;
    await sharp(content.pixels, { raw })
      .png()
      .toFile(join(folder, `${image.id.replace('#', '-')}.png`));
  }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

async function compare(): Promise<void> {
  if (!existsSync(cifar)) throw new Error('Expected CIFAR-10 in ../shared/data/cifar10');
  const pngs = await mkdtemp(join(tmpdir(), 'nearvote-pngs-'));
  await writePngs(pngs);
  const alone: number[] = [];
  const builds = { 'CIFAR binaries': [] as Measured[], 'folder of PNGs': [] as Measured[] };
  for (let round = 0; round < rounds; round++) {
    alone.push(await encoderRate());
    builds['CIFAR binaries'].push(await buildRate(cifar));
    builds['folder of PNGs'].push(await buildRate(pngs));
  }
  await rm(pngs, { recursive: true });
  const base = median(alone);
  const row = (name: string, rate: number): string[] => [name, rate.toFixed(0), (rate / base).toFixed(2)];
  console.log(
    `images/s, median of ${rounds} rounds of ${images} CIFAR-10 images, cifar10-compact, ${workers} workers x 1 thread`,
  );
  console.log(
    markdownTable(
      ['what', 'images/s', 'of the encoder alone'],
      [
        row('encoder alone, batch 32', base),
        ...Object.entries(builds).flatMap(([name, measured]) => [
          row(`build from ${name}, embedding`, median(measured.map(({ embedding }) => embedding))),
          row(`build from ${name}, whole command`, median(measured.map(({ whole }) => whole))),
        ]),
      ],
    ),
  );
}

if (process.argv[2] === 'alone') await encodeAlone(Number(process.argv[3]));
else await compare();
