/* What a reload costs those who ask meanwhile.  npm run build && npx tsx bench/reload.ts [--quick] [--rounds N] */
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { drawImages } from './drawn-images.js';
import { figure, medians, type Figures } from './figures.js';
import { startLoad, summarise, type Load } from './load.js';
import { markdownTable } from '../src/domain/markdown-table.js';
import { startRealServer, type RealServer } from './real-server.js';
import { machine } from './report.js';
import { sendReload } from './send-reload.js';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, quick: { type: 'boolean', default: false } },
});
const seconds = values.quick ? 4 : 12;

interface Part {
  readonly server: RealServer;
  readonly load: Load;
  readonly ratePerSecond: number;
  readonly seed: number;
}

/** The same arrivals twice, with a reload in the middle and without; both over the time that the reload took. */
async function measure({ server, load, ratePerSecond, seed }: Part): Promise<Figures> {
  const [during, { from, to }] = await Promise.all([
    load.open({ ratePerSecond, seconds, seed }),
    wait(seconds * 400).then(() => sendReload(server)),
  ]);
  const still = await load.open({ ratePerSecond, seconds, seed });
  const window = { fromMs: from - during.startedAt, toMs: to - during.startedAt };
  const withReload = summarise(during, window);
  const without = summarise(still, window);
  const errors = (result: typeof during): number => result.status.filter((status) => status !== 200).length;
  return {
    'saturated, images/s': ratePerSecond / 0.7,
    'seconds that the reload took': (to - from) / 1000,
    'p50 without, ms': without.p50,
    'p50 during the reload, ms': withReload.p50,
    'p99 without, ms': without.p99,
    'p99 during the reload, ms': withReload.p99,
    'p99, ratio': withReload.p99 / without.p99,
    'not answered 200 without': errors(still),
    'not answered 200 with it': errors(during),
  };
}

const images = await drawImages({ count: 2_000, width: 32, height: 32, formats: ['png'], seed: 1 });
const server = await startRealServer();
const load = await startLoad({ server, contentType: 'image/png', bodies: images });
const rounds: Figures[] = [];
try {
  const { answered, seconds: over } = await load.closed({ connections: 32, seconds: 4, warmupSeconds: 2 });
  for (let seed = 1; seed <= Number(values.rounds); seed++) {
    rounds.push(await measure({ server, load, ratePerSecond: (0.7 * answered) / over, seed }));
  }
} finally {
  load.stop();
  await server.stop();
}
const figures = medians(rounds);
console.log(
  `${machine()}. Poisson arrivals at 70 % of the saturated rate, SIGHUP in the middle, medians of ${rounds.length}`,
);
console.log(
  markdownTable(
    ['', ''],
    Object.entries(figures).map(([name, value]) => [name, value.toFixed(1)]),
  ),
);
const reached =
  figure(figures, 'p99, ratio') <= 2 &&
  rounds.every((round) => figure(round, 'not answered 200 with it') === 0);
console.log(`\nBar: no error, and p99 at most doubled: ${reached ? 'reached' : 'missed'}`);
