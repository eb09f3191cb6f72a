import { availableParallelism, cpus, totalmem } from 'node:os';
import { readFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { serverOwnCoreMs, type Bar } from './bars.js';
import { figure, type Figures } from './figures.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { connectionCounts, openPercents } from './round.js';

/** The machine in a line, without its name. */
export function machine(): string {
  const gib = (totalmem() / 2 ** 30).toFixed(0);
  return `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores, ${gib} GiB, Node ${process.version}`;
}

const runFile = z.object({ machine: z.string(), figures: z.record(z.string(), z.number().nullable()) });

export async function writeRun(file: string, run: object): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify(run, null, 2)}\n`);
}

/** Each figure of this run over the same of an earlier one. */
export async function comparison(file: string, figures: Figures): Promise<string> {
  const earlier = runFile.parse(JSON.parse(await readFile(file, 'utf8')));
  const rows = Object.entries(figures).flatMap(([name, now]) => {
    const before = earlier.figures[name];
    if (typeof before !== 'number') return [];
    return [[name, round(before), round(now), before === 0 ? '' : (now / before).toFixed(3)]];
  });
  return markdownTable(['figure', 'before', 'now', 'now / before'], rows);
}

/** The one table: each part alone, then all of it over HTTP. */
export function mainTable(figures: Figures): string {
  const cell = (name: string, digits: number): string => figures[name]?.toFixed(digits) ?? '';
  const row = (what: string, name: string, note: string): string[] => [
    what,
    cell(`${name}: images/s`, 0),
    cell(`${name}: of the encoder alone`, 2),
    cell(`${name}: p50 ms`, 1),
    cell(`${name}: p99 ms`, 1),
    figures[`${name}: core-ms`] === undefined
      ? cell(`${name}: server core-ms`, 2)
      : cell(`${name}: core-ms`, 2),
    note,
  ];
  const outcome = (name: string): string =>
    `429: ${(100 * figure(figures, `${name}: share 429`)).toFixed(1)} %, 5xx: ${cell(`${name}: 5xx`, 0)}, ` +
    `other: ${cell(`${name}: other answers`, 0)}, lost: ${cell(`${name}: lost`, 0)}, ` +
    `generator late p99 ${cell(`${name}: generator late p99 ms`, 1)} ms`;
  return markdownTable(
    ['', 'images/s', 'of encoder alone', 'p50 ms', 'p99 ms', 'core-ms an image', ''],
    [
      row('encoder alone, fastest', 'encoder alone', fastestSetting(figures)),
      row('decode alone', 'decode alone', '8 at once'),
      row('search alone', 'search alone', '32 queries at once, k = 20, 1 thread'),
      ...connectionCounts.map((n) =>
        row(
          `closed loop, ${n} connection${n === 1 ? '' : 's'}`,
          `closed ${n}`,
          `mean batch ${cell(`closed ${n}: batch`, 1)}, not answered 200: ${cell(`closed ${n}: not answered 200`, 0)}`,
        ),
      ),
      ...[...openPercents, 200].map((percent) =>
        row(`Poisson arrivals at ${percent} % of saturated`, `open ${percent}`, outcome(`open ${percent}`)),
      ),
    ],
  );
}

function fastestSetting(figures: Figures): string {
  const prefix = 'encoder alone ';
  const settings = Object.entries(figures).filter(([name]) => name.startsWith(prefix));
  const [first] = settings.toSorted(([, a], [, b]) => b - a);
  return (first?.[0] ?? '').slice(prefix.length).replace(': images/s', '').concat(' (workers x threads)');
}

/** Where the CPU of an image goes at 32 connections, and how long an image spends in each stage. */
export function stageTable(figures: Figures): string {
  const of = (name: string): number => figure(figures, name);
  const encoder = of('encoder alone: core-ms');
  const decode = of('decode alone: core-ms');
  const search = of('search alone: core-ms');
  const workers = of('closed 32: workers core-ms');
  const http = of('closed 32: HTTP process core-ms');
  const rows: [string, number][] = [
    ['encoder, as alone', encoder],
    ['search, as alone', search],
    [
      'workers: the rest (batches in and out, and what contention adds to the encoder)',
      workers - encoder - search,
    ],
    ['decode, as alone', decode],
    ['HTTP process: the rest (HTTP, queue, batches, vote, JSON, metrics)', http - decode],
    ['server in all', workers + http],
    ['server less encoder and decoder alone', serverOwnCoreMs(figures)],
    ['load generator, on the same cores', of('closed 32: generator core-ms')],
  ];
  const cores = availableParallelism();
  const busy =
    (of('closed 32: images/s') * (workers + http + of('closed 32: generator core-ms'))) / (1000 * cores);
  const stages = ['decode', 'queue', 'encode', 'search', 'vote'];
  return [
    'CPU of an image at 32 connections:',
    markdownTable(
      ['', 'core-ms'],
      rows.map(([what, ms]) => [what, ms.toFixed(2)]),
    ),
    `These add up to ${(100 * busy).toFixed(0)} % of the ${cores} cores; the rest is idle or somebody else's.`,
    '',
    'Time that an image spends in each stage at 32 connections (encode and search: its whole batch):',
    markdownTable(
      ['stage', 'mean ms'],
      stages.map((stage) => [stage, of(`closed 32: ${stage} ms`).toFixed(2)]),
    ),
  ].join('\n');
}

export function barTable(bars: readonly Bar[]): string {
  return markdownTable(
    ['bar', 'asked', 'measured', ''],
    bars.map(({ what, bar, measured, reached }) => [what, bar, measured, reached ? 'reached' : 'missed']),
  );
}

function round(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}
