/* 224 px JPEGs and an encoder of ResNet-18's size at 32 connections, against that encoder alone.  npm run bench:224 */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { decodeAlone, encoderAlone, fastest } from './alone.js';
import { drawImages } from './drawn-images.js';
import { figure, medians, type Figures } from './figures.js';
import { startLoad } from './load.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { startRealServer } from './real-server.js';
import { machine, writeRun } from './report.js';
import { writeResnet18 } from './resnet18.js';
import { closedFigures } from './server-load.js';

const local = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    quick: { type: 'boolean', default: false },
    out: { type: 'string', default: local('.cache/bench-224.json') },
  },
});
const connections = 32;
const bar = 0.88;
const length = values.quick ? 0.1 : 1;

/** An index over 200 drawn images in two classes, built as a user builds one. */
async function buildIndex(folder: string, encoderDir: string): Promise<string> {
  for (const [label, seed] of [['first', 11] as const, ['second', 12] as const]) {
    const images = await drawImages({ count: 100, width: 224, height: 224, formats: ['jpeg'], seed });
    await mkdir(join(folder, 'data', label), { recursive: true });
    for (const [i, image] of images.entries()) {
      await writeFile(join(folder, 'data', label, `${i}.jpg`), image);
    }
  }
  const out = join(folder, 'index', 'drawn');
  const args = ['build', '--data', join(folder, 'data'), '--encoder', encoderDir, '--out', out];
  const built = spawnSync(process.execPath, [local('dist/cli/main.js'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (built.status !== 0) throw new Error(`the build failed: ${built.stderr.toString()}`);
  return out;
}

async function run(folder: string): Promise<void> {
  const models = join(folder, 'models');
  const { dir: encoderDir } = await writeResnet18(models);
  const index = await buildIndex(folder, encoderDir);
  const images = await drawImages({ count: 1_000, width: 224, height: 224, formats: ['jpeg'], seed: 13 });
  const server = await startRealServer(['--models', models, '--index', index]);
  const load = await startLoad({ server, contentType: 'image/jpeg', bodies: images });
  const rounds: Figures[] = [];
  try {
    for (let round = 0; round < Number(values.rounds); round++) {
      const best = fastest(
        await encoderAlone({ encoderDir, batches: [1, 2, 4, 8, 16, 32, 64], forMs: 2_000 * length }),
      );
      const decode = await decodeAlone({ encoderDir, images, forMs: 2_000 * length });
      rounds.push({
        'encoder alone: images/s': best.imagesPerSecond,
        'encoder alone: core-ms': best.coreMs,
        'encoder alone: batch': best.batch,
        'encoder alone: workers': best.workers,
        'decode alone: images/s': decode.imagesPerSecond,
        'decode alone: core-ms': decode.coreMs,
        ...(await closedFigures({
          server,
          load,
          connections,
          seconds: 15 * length,
          encoderRate: best.imagesPerSecond,
        })),
      });
    }
  } finally {
    load.stop();
    await server.stop();
  }
  const figures = medians(rounds);
  report(figures);
  await writeRun(values.out, { machine: machine(), quick: values.quick, figures, rounds });
}

function report(figures: Figures): void {
  const of = (name: string, digits: number): string => figure(figures, name).toFixed(digits);
  const name = `closed ${connections}`;
  console.log(
    `${machine()}. 1,000 distinct 224 px JPEGs, an encoder of ResNet-18's shape with random weights, ` +
      `medians of ${values.rounds} rounds.\n`,
  );
  console.log(
    markdownTable(
      ['', 'images/s', 'of encoder alone', 'p50 ms', 'p99 ms', 'core-ms an image'],
      [
        [
          'encoder alone, fastest',
          of('encoder alone: images/s', 1),
          '',
          '',
          '',
          of('encoder alone: core-ms', 1),
        ],
        [
          'decode alone, 8 at once',
          of('decode alone: images/s', 0),
          '',
          '',
          '',
          of('decode alone: core-ms', 2),
        ],
        [
          `closed loop, ${connections} connections`,
          of(`${name}: images/s`, 1),
          of(`${name}: of the encoder alone`, 3),
          of(`${name}: p50 ms`, 0),
          of(`${name}: p99 ms`, 0),
          of(`${name}: server core-ms`, 1),
        ],
      ],
    ),
  );
  const ratio = figure(figures, `${name}: of the encoder alone`);
  console.log(`\nBar: >= ${bar} of the encoder alone: ${ratio >= bar ? 'reached' : 'missed'}`);
}

const folder = await mkdtemp(join(tmpdir(), 'nearvote-bench-224-'));
try {
  await run(folder);
} finally {
  await rm(folder, { recursive: true });
}
