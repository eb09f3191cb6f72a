/* The server under load, every stage alone beside it, in one run.  npm run bench -- --help */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { bars } from './bars.js';
import { cifarPngs, drawImages } from './drawn-images.js';
import { medians, type Figures } from './figures.js';
import { startLoad } from './load.js';
import { startRealServer } from './real-server.js';
import { barTable, comparison, machine, mainTable, stageTable, writeRun } from './report.js';
import { measureRound } from './round.js';

const local = (path: string): string => fileURLToPath(new URL(`../${path}`, import.meta.url));
const usage = `npm run bench -- [options]
  --rounds N       the medians are over N rounds (3)
  --quick          a tenth of the duration, to try it out
  --cifar          CIFAR-10's test images from ../shared/data instead of drawn ones
  --out FILE       the run as JSON (.cache/bench.json)
  --compare FILE   ratios to an earlier run`;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    quick: { type: 'boolean', default: false },
    cifar: { type: 'boolean', default: false },
    out: { type: 'string', default: local('.cache/bench.json') },
    compare: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
});
const maxQueue = 256;

async function run(): Promise<void> {
  const started = performance.now();
  const images = values.cifar
    ? await cifarPngs(local('../shared/data/cifar10'))
    : await drawImages({ count: 10_000, width: 32, height: 32, formats: ['png'], seed: 1 });
  const version = (await readFile(local('index/cifar10/current'), 'utf8')).trim();
  const server = await startRealServer(['--max-queue', String(maxQueue)]);
  const load = await startLoad({ server, contentType: 'image/png', bodies: images });
  const length = values.quick ? 0.1 : 1;
  const rounds: Figures[] = [];
  try {
    await load.closed({ connections: 32, seconds: 3 * length, warmupSeconds: 1 });
    for (let seed = 1; seed <= Number(values.rounds); seed++) {
      rounds.push(
        await measureRound({
          encoderDir: local('models/cifar10-wide-int8'),
          indexDir: join(local('index/cifar10'), version),
          images,
          server,
          load,
          length,
          seed,
        }),
      );
      console.error(`round ${seed} after ${((performance.now() - started) / 1000).toFixed(0)} s`);
    }
  } finally {
    load.stop();
    await server.stop();
  }
  const figures = medians(rounds);
  const reached = bars(figures);
  const bytes = images.reduce((sum, image) => sum + image.length, 0) / images.length;
  console.log(
    `${machine()}. ${images.length} distinct ${values.cifar ? 'CIFAR-10' : 'drawn'} 32 x 32 PNGs of ` +
      `${bytes.toFixed(0)} bytes in the mean, no result cache, cifar10-wide-int8, --max-queue ${maxQueue}. ` +
      `Medians of ${rounds.length} rounds${values.quick ? ' of a tenth of their length' : ''}. The load generator ` +
      'is a process of its own on the same cores. Latency in open loops counts from when a request was to be sent.\n',
  );
  console.log(`${mainTable(figures)}\n\n${stageTable(figures)}\n\n${barTable(reached)}`);
  if (values.compare !== undefined) console.log(`\n${await comparison(values.compare, figures)}`);
  await writeRun(values.out, { machine: machine(), quick: values.quick, figures, bars: reached, rounds });
}

if (values.help) console.log(usage);
else await run();
