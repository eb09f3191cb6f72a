/* The server that a Python user would write, beside ours.  npm run bench:peer -- --help */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { markdownTable } from '../../src/domain/markdown-table.js';
import { drawImages } from '../drawn-images.js';
import { figure, medians, type Figures } from '../figures.js';
import { startRealServer, type RealServer } from '../real-server.js';
import { machine, writeRun } from '../report.js';
import { createDriver, type Driver } from './drive.js';
import { preparePython, startPeerServer } from './peer-server.js';

const local = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const usage = `npm run bench:peer -- [options] [-- flags of nearvote serve]
  --rounds N     the medians are over N rounds (3)
  --quick        one round of a second each, to try it out
  --only SIDE    nearvote or peer
  --encoder FILE the peer's model, such as a float one (models/cifar10-wide-int8/encoder.onnx, which is ours)
  --out FILE     the run as JSON (.cache/bench-peer.json)`;

const { values, positionals } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    encoder: { type: 'string' },
    out: { type: 'string', default: local('.cache/bench-peer.json') },
    help: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});

/** Connections, and how many times as much as the best peer we are to answer there. */
const bars = new Map(
  values.encoder === undefined
    ? [
        [1, 1.2],
        [8, 1.5],
        [32, 1.7],
        [64, 1.9],
      ]
    : [
        [1, 1.5],
        [8, 2.5],
        [32, 3],
        [64, 3.3],
      ],
);
const seconds = values.quick ? 1 : 8;
const rounds = values.quick ? 1 : Number(values.rounds);
const ours = 'nearvote';
const peers = [
  { processes: 1, threads: 2 },
  { processes: 2, threads: 1 },
] as const;

interface Side {
  readonly name: string;
  readonly server: RealServer;
}

async function startSides(): Promise<Side[]> {
  const sides: Side[] = [];
  if (values.only !== 'peer') sides.push({ name: ours, server: await startRealServer(positionals) });
  if (values.only === ours) return sides;
  const found = await preparePython();
  if ('missing' in found) {
    console.error(`The peer is left out: ${found.missing}`);
    return sides;
  }
  const version = (await readFile(local('index/cifar10/current'), 'utf8')).trim();
  const encoder = values.encoder ?? local('models/cifar10-wide-int8/encoder.onnx');
  const indexDir = join(local('index/cifar10'), version);
  for (const { processes, threads } of peers) {
    const name = `FastAPI, ${processes} x ${threads} threads`;
    const server = await startPeerServer({ ...found, processes, threads, encoder, indexDir });
    sides.push({ name, server });
  }
  return sides;
}

/** Every side at every number of connections, one side after another. */
async function measureRound(sides: readonly Side[], driver: Driver): Promise<Figures> {
  const figures: Record<string, number> = {};
  for (const connections of bars.keys()) {
    for (const { name, server } of sides) {
      const driven = await driver.drive({ server, connections, seconds });
      const at = `${name}, ${connections}`;
      figures[`${at}: images/s`] = driven.answered / driven.seconds;
      figures[`${at}: p50 ms`] = driven.p50Ms;
      figures[`${at}: p99 ms`] = driven.p99Ms;
      figures[`${at}: failed`] = driven.failed;
    }
  }
  return figures;
}

const answerSchema = z.object({ label: z.string() });

async function labelsOf(server: RealServer, images: readonly Buffer[]): Promise<string[]> {
  const labels: string[] = [];
  for (const image of images) {
    const answer = await fetch(new URL('/classify', server.url), {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: new Uint8Array(image),
    });
    labels.push(answerSchema.parse(await answer.json()).label);
  }
  return labels;
}

/** Both sides are to do the same work. */
async function agreement(sides: readonly Side[], images: readonly Buffer[]): Promise<string> {
  const [first, ...others] = await Promise.all(sides.map(({ server }) => labelsOf(server, images)));
  const same = first?.filter((label, i) => others.every((labels) => labels[i] === label)).length ?? 0;
  return `${same} of ${images.length} images have the same label on all ${sides.length} servers.`;
}

function table(sides: readonly Side[], figures: Figures): string {
  const cell = (side: string, n: number): string => {
    const of = (name: string): number => figure(figures, `${side}, ${n}: ${name}`);
    const failed = of('failed') === 0 ? '' : `, ${of('failed')} failed`;
    return `${of('images/s').toFixed(0)} (${of('p50 ms').toFixed(1)}, ${of('p99 ms').toFixed(1)}${failed})`;
  };
  return markdownTable(
    ['images/s (p50, p99 in ms) at connections', ...[...bars.keys()].map(String)],
    sides.map(({ name }) => [name, ...[...bars.keys()].map((n) => cell(name, n))]),
  );
}

function ratios(sides: readonly Side[], figures: Figures): string {
  const rate = (name: string, n: number): number => figure(figures, `${name}, ${n}: images/s`);
  const rows = [...bars].map(([n, bar]) => {
    const best = Math.max(...sides.filter(({ name }) => name !== ours).map(({ name }) => rate(name, n)));
    const ratio = rate(ours, n) / best;
    return [String(n), ratio.toFixed(2), `>= ${bar.toFixed(2)}`, ratio >= bar ? 'yes' : 'no'];
  });
  return markdownTable(['connections', 'nearvote over the best peer', 'bar', 'reached'], rows);
}

async function run(): Promise<void> {
  const images = await drawImages({ count: 200, width: 32, height: 32, formats: ['png'], seed: 1 });
  const [bytes = Buffer.alloc(0)] = images;
  const file = local('.cache/bench-peer.png');
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, bytes);
  const driver = createDriver({ file, bytes });
  const sides = await startSides();
  const measured: Figures[] = [];
  try {
    console.log(await agreement(sides, images));
    for (const { server } of sides) await driver.drive({ server, connections: 32, seconds });
    for (let round = 0; round < rounds; round++) measured.push(await measureRound(sides, driver));
  } finally {
    for (const { server } of sides) await server.stop();
  }
  const figures = medians(measured);
  const peersEncoder = values.encoder === undefined ? '' : ` (the peer: ${basename(values.encoder)})`;
  console.log(
    `\n${machine()}. One 32 x 32 PNG of ${bytes.length} bytes, cifar10-wide-int8${peersEncoder}, 10,000 examples, k = 20. Load by ` +
      `${driver.name}, on the same cores. Medians of ${rounds} rounds of ${seconds} s each, the servers in turn.\n`,
  );
  console.log(table(sides, figures));
  if (sides.length > peers.length) console.log(`\n${ratios(sides, figures)}`);
  await writeRun(values.out, { machine: machine(), driver: driver.name, quick: values.quick, figures });
}

if (values.help) console.log(usage);
else await run();
