/*
 * Images a second of `nearvote classify --csv` against the loop over one image after another that classify was before, and
 * against a server that runs, each in a process of its own, in turns.
 *   npm run build && npx tsx bench/batch.ts [ROUNDS] [CIFAR_FOLDER] [CLOTHING_FOLDER]
 */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { walkImages } from '../src/image/dataset/walk-images.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { classifierOf, openPair } from '../src/pair.js';
import { defaultVote } from '../src/vote/rules.js';
import { cifarPngs } from './drawn-images.js';
import { median } from './figures.js';
import { startRealServer } from './real-server.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const [, , first = '3', cifar = '../shared/data/cifar10', clothing = '../shared/data/clothing'] =
  process.argv;
const workers = availableParallelism();

/** As classify was: the next image is read when the one before it is decided. Start left out. */
async function oneByOne(folder: string): Promise<void> {
  const pair = await openPair({
    ...{ index: join(root, 'index/cifar10'), models: 'models', search: 'auto' },
    ...{ workers, threads: 1, maxQueue: 1 },
  });
  const settings = { ...defaultVote, priorCorrection: false };
  const classifier = classifierOf(pair, { defaults: settings, calibration: undefined });
  let images = 0;
  const started = performance.now();
  for await (const { path } of walkImages([folder])) {
    await classifier.classify(await readFile(path), { neighbours: 5 });
    images++;
  }
  process.stdout.write(String((images * 1_000) / (performance.now() - started)));
  await Promise.all([pair.pool.close(), pair.neighbours.close()]);
}

function output(args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, maxBuffer: 1e8 });
  if (status !== 0) throw new Error(stderr.toString());
  return stdout.toString();
}

const loopRate = (folder: string): number =>
  Number(output([...process.execArgv, join(root, 'bench/batch.ts'), 'one-by-one', folder]));

/** The command's own figure: from the first image on. */
function csvRate(folder: string, csv: string, ...more: string[]): number {
  const args = ['classify', folder, '--csv', csv, '--overwrite', '--json', ...more];
  const { added, seconds } = JSON.parse(output([join(root, 'dist/cli/main.js'), ...args])) as {
    added: number;
    seconds: number;
  };
  return added / seconds;
}

async function compare(rounds: number): Promise<void> {
  const base = await mkdtemp(join(tmpdir(), 'nearvote-bench-'));
  const pngs = join(base, 'cifar');
  await mkdir(pngs);
  for (const [i, png] of (await cifarPngs(cifar)).slice(0, 3_000).entries()) {
    await writeFile(join(pngs, `${i}.png`), png);
  }
  const folders = { '3,000 CIFAR-10 PNGs': pngs, 'clothing photos': resolve(clothing, 'validation') };
  const rows: string[][] = [];
  const server = await startRealServer();
  try {
    for (const [name, folder] of Object.entries(folders)) {
      const measured: { readonly loop: number; readonly csv: number; readonly served: number }[] = [];
      for (let round = 0; round < rounds; round++) {
        const csv = join(base, 'out.csv');
        measured.push({
          loop: loopRate(folder),
          csv: csvRate(folder, csv),
          served: csvRate(folder, csv, '--server', server.url),
        });
      }
      const middle = (of: (one: (typeof measured)[number]) => number): number => median(measured.map(of));
      rows.push([
        name,
        middle(({ loop }) => loop).toFixed(0),
        middle(({ csv }) => csv).toFixed(0),
        middle(({ loop, csv }) => csv / loop).toFixed(2),
        middle(({ served }) => served).toFixed(0),
        middle(({ loop, served }) => served / loop).toFixed(2),
      ]);
    }
  } finally {
    await server.stop();
    await rm(base, { recursive: true });
  }
  console.log(
    `the shipped index, ${workers} workers, images/s; medians of ${rounds} rounds, ratios are of each round`,
  );
  console.log(
    markdownTable(
      ['images', 'one by one', '--csv', 'to one by one', '--csv --server', 'to one by one'],
      rows,
    ),
  );
}

if (first === 'one-by-one') await oneByOne(cifar);
else await compare(Number(first));
