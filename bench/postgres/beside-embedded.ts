/*
 * POST /classify of one index in PostgreSQL beside the same index in a folder, by the same encoder: servers that are asked in
 * turns, at 1, 8, 32 and 64 connections. Core-ms are of all processes of each, as /proc has them.
 *   .ci/postgres.sh get FOLDER && npm run build
 *   npx tsx bench/postgres/beside-embedded.ts FOLDER [--examples 100000] [--rounds 5] [--seconds 5]
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadStored } from '../../src/curate/load-stored.js';
import { markdownTable } from '../../src/domain/markdown-table.js';
import { readEncoderManifest } from '../../src/encoder/load.js';
import { parseIndexUrl } from '../../src/postgres/index-url.js';
import { openIndexDatabase } from '../../src/postgres/postgres-index.js';
import { writeClusteredIndex } from '../clustered-index.js';
import { drawImages } from '../drawn-images.js';
import { figure, medians, percentile, type Figures } from '../figures.js';
import { startLoad, type Load } from '../load.js';
import { processTree } from '../process-tree.js';
import { startRealServer, type RealServer } from '../real-server.js';
import { machine } from '../report.js';
import { startOwnServer } from './own-server.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    examples: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    encoder: { type: 'string', default: 'models/cifar10-wide-int8' },
  },
});
const examples = Number(values.examples);
const seconds = Number(values.seconds);
const connectionCounts = [1, 8, 32, 64];
const kinds = ['folder', 'PostgreSQL'] as const;

const folder = await mkdtemp(join(tmpdir(), 'nearvote-beside-'));
const root = join(folder, 'clustered');
const { output } = await readEncoderManifest(values.encoder);
await writeClusteredIndex({
  ...{ root, encoderDir: values.encoder, examples, dimension: output.dimension, onProgress: () => undefined },
});
const own = await startOwnServer(positionals[0] ?? '');
const url = parseIndexUrl(`${own.url}?name=clustered`);
const started = performance.now();
await loadStored({ root, url, now: () => new Date() });
const loadSeconds = (performance.now() - started) / 1000;
const database = await openIndexDatabase(url, { connections: 1 });
const [held] = await database.transaction('read', (query) =>
  query(
    `select sum(pg_table_size(oid))::float8 as tables, sum(pg_indexes_size(oid))::float8 as indexes
      from pg_class where relkind = 'r' and relnamespace = 'nearvote'::regnamespace`,
  ),
);
await database.close();
const kilobytes = (bytes: unknown): string => (Number(bytes) / examples / 1000).toFixed(2);
const images = await drawImages({ count: 400, width: 32, height: 32, formats: ['png'], seed: 1 });
const main = await own.pid();

interface Side {
  readonly kind: (typeof kinds)[number];
  readonly server: RealServer;
  readonly load: Load;
}

async function startSide(kind: Side['kind']): Promise<Side> {
  const index = kind === 'folder' ? root : url.indexUrl;
  const server = await startRealServer(['--models', 'models', '--index', index]);
  return { kind, server, load: await startLoad({ server, contentType: 'image/png', bodies: images }) };
}

/** The other server waits meanwhile. */
async function measure({ kind, load }: Side, connections: number): Promise<Figures> {
  const before = databaseMs();
  const asked = await load.closed({ connections, seconds, warmupSeconds: 1 });
  // The second of the warm-up is in it, and its requests are not.
  const database = ((databaseMs() - before) * asked.seconds) / (asked.seconds + 1);
  if (asked.failed > 0)
    console.error(`${kind}, ${connections} connections: ${asked.failed} not answered 200`);
  const name = `${kind} ${connections}`;
  return {
    [`${name}: requests/s`]: asked.answered / asked.seconds,
    [`${name}: p50`]: percentile(asked.latencyMs, 0.5),
    [`${name}: p99`]: percentile(asked.latencyMs, 0.99),
    [`${name}: server`]: (asked.httpCpuMs + asked.workersCpuMs) / asked.answered,
    [`${name}: database`]: database / asked.answered,
  };
}

/** Connections stay open, so no process ends whose time would be gone. */
function databaseMs(): number {
  return processTree(main).reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

const sides: Side[] = [];
try {
  for (const kind of kinds) sides.push(await startSide(kind));
  const rounds: Figures[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    let figures: Figures = {};
    for (const connections of connectionCounts) {
      // Whoever is first finds the machine as the one before left it.
      for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
        figures = { ...figures, ...(await measure(side, connections)) };
      }
      const ratio =
        figure(figures, `PostgreSQL ${connections}: requests/s`) /
        figure(figures, `folder ${connections}: requests/s`);
      figures = { ...figures, [`ratio ${connections}`]: ratio };
    }
    rounds.push(figures);
  }
  const all = medians(rounds);
  const row = (connections: number, kind: string): string[] => [
    String(connections),
    kind,
    ...['requests/s', 'p50', 'p99', 'server', 'database'].map((what) =>
      figure(all, `${kind} ${connections}: ${what}`).toFixed(2),
    ),
    kind === 'PostgreSQL' ? figure(all, `ratio ${connections}`).toFixed(2) : '',
  ];
  console.log(
    `${machine()}. ${examples} examples of ${output.dimension} values, loaded in ${loadSeconds.toFixed(0)} s, ` +
      `${kilobytes(held?.['tables'])} kB of tables and ${kilobytes(held?.['indexes'])} kB of indexes an example; medians of ${rounds.length} rounds of ` +
      `${seconds} s\n\n` +
      markdownTable(
        [
          ...['connections', 'index in', 'requests/s', 'p50 ms', 'p99 ms'],
          ...['core-ms in the server', 'core-ms in PostgreSQL', 'of the folder'],
        ],
        connectionCounts.flatMap((connections) => kinds.map((kind) => row(connections, kind))),
      ),
  );
} finally {
  for (const { load, server } of sides) {
    load.stop();
    await server.stop();
  }
  await own.stop();
  await rm(folder, { recursive: true });
}
