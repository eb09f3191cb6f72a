/* Whether memory stays flat over many images and many reloads.  npm run soak -- [--images N] [--reloads N] [--quick] */
import { parseArgs } from 'node:util';
import { startChild, type Child } from './child.js';
import { percentile } from './figures.js';
import type { Posted, PostRequest } from './image-poster.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { processTree } from './process-tree.js';
import { startRealServer, type RealServer } from './real-server.js';
import { machine } from './report.js';
import { scrape } from './scrape.js';
import { sendReload } from './send-reload.js';

const { values } = parseArgs({
  options: {
    images: { type: 'string', default: '200000' },
    reloads: { type: 'string', default: '20' },
    quick: { type: 'boolean', default: false },
  },
});
const images = values.quick ? 10_000 : Number(values.images);
const reloads = values.quick ? 3 : Number(values.reloads);
const perRequest = 48;
const connections = 4;
const megabyte = 2 ** 20;

interface Sample {
  /** Images the server has answered. */
  readonly images: number;
  readonly httpMb: number;
  readonly workersMb: number;
}

let failed = 0;
let seed = 1;

async function post(child: Child, server: RealServer, count: number): Promise<void> {
  const request: PostRequest = {
    serverUrl: server.url,
    seed: seed++,
    images: count,
    perRequest,
    connections,
  };
  failed += ((await child.ask(request)) as Posted).failed;
}

async function sample(server: RealServer): Promise<Sample> {
  const [http, ...workers] = processTree(server.pid);
  const answered = (await scrape(server.url))('nearvote_stage_duration_seconds_count{stage="vote"}');
  return {
    images: answered,
    httpMb: (http?.rssBytes ?? NaN) / megabyte,
    workersMb: workers.reduce((sum, { rssBytes }) => sum + rssBytes, 0) / megabyte,
  };
}

/** A sample a second until `work` is done. */
async function sampleWhile(server: RealServer, work: Promise<void>): Promise<Sample[]> {
  const samples: Promise<Sample>[] = [];
  const timer = setInterval(() => samples.push(sample(server)), 1_000);
  try {
    await work;
  } finally {
    clearInterval(timer);
  }
  samples.push(sample(server));
  return Promise.all(samples);
}

/** Least squares: MB for every 10,000 images. */
function slope(samples: readonly Sample[], of: (sample: Sample) => number): number {
  const mean = (pick: (sample: Sample) => number): number =>
    samples.reduce((sum, one) => sum + pick(one), 0) / samples.length;
  const x = mean((one) => one.images);
  const y = mean(of);
  const covariance = mean((one) => (one.images - x) * (of(one) - y));
  return (10_000 * covariance) / mean((one) => (one.images - x) ** 2);
}

const all = ({ httpMb, workersMb }: Sample): number => httpMb + workersMb;

async function soakImages(server: RealServer, child: Child): Promise<boolean> {
  const started = performance.now();
  const samples = await sampleWhile(server, post(child, server, images));
  const seconds = (performance.now() - started) / 1000;
  const settled = samples.filter((one) => one.images >= images / 5);
  const parts: [string, (one: Sample) => number][] = [
    ['HTTP process', (one) => one.httpMb],
    ['workers', (one) => one.workersMb],
    ['all', all],
  ];
  console.log(
    `${machine()}. ${images} images of 8 x 8 (PNG, JPEG, WebP), ${perRequest} a request, ${connections} connections, ` +
      `${seconds.toFixed(0)} s, ${(images / seconds).toFixed(0)} images/s; the first fifth is warm-up. Not answered 200: ${failed}\n`,
  );
  console.log(
    markdownTable(
      ['RSS', 'after warm-up, MB', 'at the end, MB', 'largest, MB', 'MB per 10,000 images'],
      parts.map(([name, of]) => [
        name,
        ...[settled[0], settled.at(-1)].map((one) => (one === undefined ? '' : of(one).toFixed(1))),
        percentile(samples.map(of), 1).toFixed(1),
        slope(settled, of).toFixed(2),
      ]),
    ),
  );
  const flat = slope(settled, all) < 1 && failed === 0;
  console.log(`\nBar: below 1 MB per 10,000 images: ${flat ? 'reached' : 'missed'}\n`);
  return flat;
}

/** The median RSS under the same load, so that what a worker holds while it works counts on both sides. */
async function underLoad(server: RealServer, child: Child): Promise<number> {
  const samples = await sampleWhile(server, post(child, server, values.quick ? 2_000 : 8_000));
  return percentile(samples.slice(Math.floor(samples.length / 2)).map(all), 0.5);
}

async function soakReloads(server: RealServer, child: Child): Promise<boolean> {
  // The first one leaves the workers as old as all that follow do.
  await sendReload(server);
  const before = await underLoad(server, child);
  const took: number[] = [];
  for (let i = 0; i < reloads; i++) {
    const [{ from, to }] = await Promise.all([sendReload(server), post(child, server, 1_000)]);
    took.push((to - from) / 1000);
  }
  const after = await underLoad(server, child);
  const growth = after / before - 1;
  console.log(
    markdownTable(
      ['reloads', 'RSS before, MB', 'RSS after, MB', 'growth', 'median s a reload', 'processes'],
      [
        [
          reloads,
          before.toFixed(1),
          after.toFixed(1),
          `${(100 * growth).toFixed(1)} %`,
          percentile(took, 0.5).toFixed(2),
          processTree(server.pid).length,
        ],
      ],
    ),
  );
  const same = Math.abs(growth) <= 0.1 && failed === 0;
  console.log(`\nBar: within 10 %, nothing refused (${failed} images were): ${same ? 'reached' : 'missed'}`);
  return same;
}

const server = await startRealServer();
const child = startChild('image-poster.ts');
try {
  const reached = [await soakImages(server, child), await soakReloads(server, child)];
  process.exitCode = reached.every(Boolean) ? 0 : 1;
} finally {
  child.stop();
  await server.stop();
}
