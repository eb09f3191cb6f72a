/* How much of the encoder's own rate a build reaches, in one run.  npm run build && npx tsx bench/build.ts */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { openDataset } from '../src/image/dataset/open-dataset.js';
import { markdownTable } from '../src/domain/markdown-table.js';

const local = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const encoder = local('models/cifar10-compact');
const cifar = local('../shared/data/cifar10');
const rounds = Number(process.argv[2] ?? 3);
const workers = availableParallelism();
const size = 32 * 32 * 3;
const images = 10_000;

interface Measured {
  /** Images/s while embedding, start and measuring left out. */
  readonly rate: number;
  /** CPU of the whole command for an image, in core-ms: it hardly depends on what else the machine does. */
  readonly coreMs: number;
  /** Images/s of the whole command. */
  readonly wholeRate: number;
}

/** User and system time of the children this process has waited for, in ms; NaN where there is no /proc. */
function childrenCpuMs(): number {
  if (!existsSync('/proc/self/stat')) return NaN;
  const stat = readFileSync('/proc/self/stat', 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // cutime and cstime, in ticks of 10 ms: proc(5)
  return (Number(fields[13]) + Number(fields[14])) * 10;
}

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
async function encoderRate(): Promise<Measured> {
  const cpuBefore = childrenCpuMs();
  const started = performance.now();
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
  return {
    rate: rates.reduce((sum, rate) => sum + rate, 0),
    coreMs: (childrenCpuMs() - cpuBefore) / images,
    wholeRate: (images * 1_000) / (performance.now() - started),
  };
}

/** A build as a user runs it, into an empty folder: nothing is in its cache. */
async function buildRate(data: string): Promise<Measured> {
  const out = await mkdtemp(join(tmpdir(), 'nearvote-bench-'));
  const args = ['build', '--data', data, '--split', 'test', '--encoder', encoder, '--out', out, '--json'];
  const cpuBefore = childrenCpuMs();
  const started = performance.now();
  const { stdout } = spawnSync(process.execPath, [local('dist/cli/main.js'), ...args], {
    maxBuffer: 1 << 26,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const seconds = (performance.now() - started) / 1_000;
  const coreMs = (childrenCpuMs() - cpuBefore) / images;
  await rm(out, { recursive: true });
  const report = JSON.parse(stdout.toString()) as { embedded: number; embedSeconds: number };
  if (report.embedded !== images)
    throw new Error(`Expected ${images} images but received ${report.embedded}`);
  return { rate: images / report.embedSeconds, coreMs, wholeRate: images / seconds };
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
  const names = ['encoder alone, batch 32', 'build from CIFAR binaries', 'build from a folder of PNGs'];
  const measured: Measured[][] = names.map(() => []);
  for (let round = 0; round < rounds; round++) {
    measured[0]?.push(await encoderRate());
    measured[1]?.push(await buildRate(cifar));
    measured[2]?.push(await buildRate(pngs));
  }
  await rm(pngs, { recursive: true });
  console.log(
    `median of ${rounds} rounds of ${images} CIFAR-10 images, cifar10-compact, ${workers} workers x 1 thread; ratios are of each round`,
  );
  const ratios = (of: readonly Measured[], value: (one: Measured) => number): number[] =>
    of.map((one, round) => value(one) / value(measured[0]?.[round] ?? one));
  console.log(
    markdownTable(
      [
        'what',
        'images/s',
        'of the encoder alone',
        'whole command, images/s',
        'core-ms an image',
        'of the encoder alone',
      ],
      measured.map((of, i) => [
        names[i] ?? '',
        median(of.map(({ rate }) => rate)).toFixed(0),
        median(ratios(of, ({ rate }) => rate)).toFixed(2),
        median(of.map(({ wholeRate }) => wholeRate)).toFixed(0),
        median(of.map(({ coreMs }) => coreMs)).toFixed(2),
        median(ratios(of, ({ coreMs }) => 1 / coreMs)).toFixed(2),
      ]),
    ),
  );
}

if (process.argv[2] === 'alone') await encodeAlone(Number(process.argv[3]));
else await compare();
