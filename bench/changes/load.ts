/*
 * What changes and a compaction cost those who ask meanwhile, and what an added example costs over its embedding.
 *   npm run build && npx tsx bench/changes/load.ts [--rounds 3] [--quick]
 */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { markdownTable } from '../../src/domain/markdown-table.js';
import { drawImages } from '../drawn-images.js';
import { medians, percentile, type Figures } from '../figures.js';
import { startLoad, summarise, type Load } from '../load.js';
import { startRealServer, type RealServer } from '../real-server.js';
import { machine } from '../report.js';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, quick: { type: 'boolean', default: false } },
});
const seconds = values.quick ? 4 : 12;
const changesPerSecond = 20;
const key = 'a-key-of-this-benchmark';
const asAdmin = { 'x-api-key': key };

const images = await drawImages({ count: 400, width: 32, height: 32, formats: ['png'], seed: 1 });
let taught = 0;

async function teach(server: RealServer): Promise<string> {
  const image = images[taught % images.length] ?? new Uint8Array(0);
  const body = new FormData();
  // Another image for the server each time: bytes after the end of a PNG are no part of it.
  body.append('image', new Blob([Uint8Array.from(image), new TextEncoder().encode(String(taught))]), 'a.png');
  body.append('label', `label ${taught++ % 10}`);
  const answer = await fetch(`${server.url}/examples`, { method: 'POST', headers: asAdmin, body });
  if (!answer.ok) throw new Error(`POST /examples: ${answer.status} ${await answer.text()}`);
  return ((await answer.json()) as { id: string }).id;
}

const relabel = (server: RealServer, id: string): Promise<Response> =>
  fetch(`${server.url}/examples/${id}`, {
    method: 'PATCH',
    headers: { ...asAdmin, 'content-type': 'application/json' },
    body: JSON.stringify({ label: `label ${taught % 7}` }),
  });
const remove = (server: RealServer, id: string): Promise<Response> =>
  fetch(`${server.url}/examples/${id}`, { method: 'DELETE', headers: asAdmin });

/** Half of them added, a quarter relabelled, a quarter deleted. */
async function change(server: RealServer, forMs: number): Promise<{ changes: number; failed: number }> {
  const ids: string[] = [];
  const made: Promise<boolean>[] = [];
  const end = performance.now() + forMs;
  for (let n = 0; performance.now() < end; n++) {
    const id = n % 4 < 2 ? undefined : ids.shift();
    if (id === undefined) {
      made.push(
        teach(server).then(
          (added) => ids.push(added) > 0,
          () => false,
        ),
      );
    } else
      made.push(
        (n % 4 === 2 ? relabel(server, id) : remove(server, id)).then(
          ({ ok }) => ok,
          () => false,
        ),
      );
    await wait(1000 / changesPerSecond);
  }
  const done = await Promise.all(made);
  return { changes: done.length, failed: done.filter((ok) => !ok).length };
}

interface Part {
  readonly server: RealServer;
  readonly load: Load;
  readonly ratePerSecond: number;
  readonly seed: number;
}

/** The same arrivals three times: alone, with changes, and during a compaction. */
async function measure({ server, load, ratePerSecond, seed }: Part): Promise<Figures> {
  const asked = { ratePerSecond, seconds, seed };
  const alone = summarise(await load.open(asked));
  const [changed, { changes, failed }] = await Promise.all([
    load.open(asked),
    change(server, seconds * 1000),
  ]);
  const began = Date.now();
  const [compacted, took] = await Promise.all([
    load.open({ ...asked, seconds: 2 * seconds }),
    fetch(`${server.url}/versions`, { method: 'POST', headers: asAdmin }).then(async (answer) => {
      if (!answer.ok) throw new Error(await answer.text());
      return Date.now() - began;
    }),
  ]);
  const during = summarise(changed);
  const within = summarise(compacted, { fromMs: 0, toMs: Math.min(took, 2000 * seconds) });
  const errors = (of: typeof alone): number => of.sent - of.ok;
  return {
    'requests/s, 70 % of saturated': ratePerSecond,
    'p50 alone, ms': alone.p50,
    'p99 alone, ms': alone.p99,
    'changes/s': changes / seconds,
    'changes that failed': failed,
    'p50 with changes, ms': during.p50,
    'p99 with changes, ms': during.p99,
    'p99 with changes / alone': during.p99 / alone.p99,
    'seconds that the compaction took': took / 1000,
    'p99 during it, ms': within.p99,
    'p99 during it / alone': within.p99 / alone.p99,
    'requests without a 200': errors(alone) + errors(during) + errors(within),
  };
}

/** One after another on a server that does nothing else: an example that is added, and its embedding alone. */
async function addedOverEmbedding(server: RealServer): Promise<Figures> {
  const added: number[] = [];
  const embedded: number[] = [];
  for (let i = 0; i < 200; i++) {
    let started = performance.now();
    await teach(server);
    added.push(performance.now() - started);
    const image = images[i % images.length] ?? new Uint8Array(0);
    const headers = { 'content-type': 'image/png' };
    started = performance.now();
    await (
      await fetch(`${server.url}/embed`, { method: 'POST', headers, body: Uint8Array.from(image) })
    ).text();
    embedded.push(performance.now() - started);
  }
  const p50 = (of: number[]): number => percentile(of, 0.5);
  return {
    'p50 of an added image, ms': p50(added),
    'of its embedding, ms': p50(embedded),
    'over it, ms': p50(added) - p50(embedded),
  };
}

const folder = await mkdtemp(join(tmpdir(), 'nearvote-changes-'));
const index = join(folder, 'cifar10');
await cp('index/cifar10', index, { recursive: true });
const server = await startRealServer(['--models', 'models'], {
  env: { NEARVOTE_INDEX: index, NEARVOTE_ADMIN_KEY: key },
});
const load = await startLoad({ server, contentType: 'image/png', bodies: images });
try {
  const rounds: Figures[] = [];
  const alone = await addedOverEmbedding(server);
  const saturated = await load.closed({ connections: 64, seconds: values.quick ? 3 : 8, warmupSeconds: 2 });
  const ratePerSecond = (0.7 * saturated.answered) / saturated.seconds;
  for (let round = 0; round < Number(values.rounds); round++) {
    rounds.push(await measure({ server, load, ratePerSecond, seed: round + 1 }));
  }
  const all = { ...alone, ...medians(rounds) };
  console.log(
    `${machine()}. Poisson arrivals at 70 % of the saturated rate, medians of ${rounds.length}\n\n` +
      markdownTable(
        ['', ''],
        Object.entries(all).map(([name, value]) => [name, value.toFixed(2)]),
      ),
  );
} finally {
  load.stop();
  await server.stop();
  await rm(folder, { recursive: true });
}
