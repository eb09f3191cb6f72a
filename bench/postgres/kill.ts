/*
 * Kills a real PostgreSQL and all of its processes, with SIGKILL at random moments, under changes and classifications that go
 * through a real server: acknowledged changes that are gone, answers that came late, and how soon it serves again.
 *   .ci/postgres.sh get FOLDER && npm run build && npx tsx bench/postgres/kill.ts FOLDER [--kills 20]
 */
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { openPostgresIndex } from '../../src/postgres/postgres-index.js';
import { loadStored } from '../../src/curate/load-stored.js';
import { parseIndexUrl } from '../../src/postgres/index-url.js';
import { shippedIndex } from '../../src/pair.js';
import { drawImages, seededRandom } from '../drawn-images.js';
import { percentile } from '../figures.js';
import { startRealServer } from '../real-server.js';
import { machine } from '../report.js';
import { startOwnServer } from './own-server.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { kills: { type: 'string', default: '20' } },
});
const kills = Number(values.kills);
const [folder = ''] = positionals;
const writers = 3;
const askers = 4;
/** What a server gives an image request unless told, and the turn of a busy machine. */
const limitMs = 10_000 + 250;
const barMs = 5_000;

const key = 'a-key-of-this-benchmark';
const asAdmin = { 'x-api-key': key };
const random = seededRandom(1);
const images = await drawImages({ count: 100, width: 32, height: 32, formats: ['png'], seed: 1 });
const own = await startOwnServer(folder);
const url = parseIndexUrl(`${own.url}?name=killed`);
const now = (): Date => new Date();
await loadStored({ root: shippedIndex.dir, url, now });
const server = await startRealServer(
  ['--log-level', 'fatal', '--models', 'models', '--index', url.indexUrl],
  {
    env: { NEARVOTE_ADMIN_KEY: key },
  },
);

interface Acknowledged {
  readonly sequence: number;
  readonly id: string;
  /** Null of one that was deleted. */
  readonly label: string | null;
}

let isOver = false;
const acknowledged: Acknowledged[] = [];
const refusals = new Map<number, number>();
let sent = 0;

/** Of each classification: when it was answered, how long that took, and with what; 0 for no answer. */
const answers: { readonly at: number; readonly ms: number; readonly status: number }[] = [];

async function write(): Promise<void> {
  const mine: string[] = [];
  while (!isOver) {
    const label = `label ${Math.floor(random() * 10)}`;
    const id = random() < 0.5 ? undefined : mine.shift();
    const isDeleted = random() < 0.5;
    const answer = await (
      id === undefined
        ? add(label)
        : fetch(`${server.url}/examples/${id}`, {
            method: isDeleted ? 'DELETE' : 'PATCH',
            headers: { ...asAdmin, 'content-type': 'application/json' },
            ...(isDeleted ? {} : { body: JSON.stringify({ label }) }),
          })
    ).catch(() => undefined);
    if (answer?.ok !== true) {
      refusals.set(answer?.status ?? 0, (refusals.get(answer?.status ?? 0) ?? 0) + 1);
      await answer?.text();
      await wait(20);
      continue;
    }
    const changed = (await answer.json()) as { sequence: number; outcome: string; id?: string };
    const { sequence, outcome, id: told = id ?? '' } = changed;
    // What had the label before was given no number.
    if (outcome !== 'unchanged')
      acknowledged.push({ sequence, id: told, label: id !== undefined && isDeleted ? null : label });
    if (id === undefined || !isDeleted) mine.push(told);
  }
}

function add(label: string): Promise<Response> {
  const image = images[sent % images.length] ?? Buffer.alloc(0);
  const body = new FormData();
  // Another image for the server each time: bytes after the end of a PNG are no part of it.
  body.append('image', new Blob([Uint8Array.from(image), String(sent++)]), 'a.png');
  body.append('label', label);
  return fetch(`${server.url}/examples`, { method: 'POST', headers: asAdmin, body });
}

async function ask(): Promise<void> {
  for (let n = 0; !isOver; n++) {
    const started = performance.now();
    const answer = await fetch(`${server.url}/classify`, {
      method: 'POST',
      headers: { 'content-type': 'image/png' },
      body: Uint8Array.from(images[n % images.length] ?? []),
    }).catch(() => undefined);
    await answer?.text();
    const at = performance.now();
    answers.push({ at, ms: at - started, status: answer?.status ?? 0 });
    // Refused at once, it would ask without end.
    if (answer?.status !== 200) await wait(5);
  }
}

/** @returns when the database takes connections */
async function accepting(): Promise<number> {
  for (;;) {
    const client = new pg.Client({ connectionString: own.url });
    // One that comes too early is refused, or lost.
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.end();
      return performance.now();
    } catch {
      await wait(10);
    }
  }
}

const back: number[] = [];
const running = [...Array.from({ length: writers }, write), ...Array.from({ length: askers }, ask)];
try {
  for (let kill = 1; kill <= kills; kill++) {
    await wait(300 + random() * 1_500);
    await own.kill();
    await wait(random() * 1_000);
    await own.again();
    const accepted = await accepting();
    while (!answers.some(({ at, status }) => at >= accepted && status === 200)) await wait(5);
    const first = answers.find(({ at, status }) => at >= accepted && status === 200);
    back.push((first?.at ?? NaN) - accepted);
  }
  isOver = true;
  await Promise.all(running);

  const neighbours = await openPostgresIndex({
    ...{ url, name: 'killed', search: 'auto', access: 'read', now },
  });
  const log = await neighbours.log({ limit: Number.MAX_SAFE_INTEGER });
  const bySequence = new Map(log.map((change) => [change.sequence, change]));
  const lost = acknowledged.filter(({ sequence, id, label }) => {
    const change = bySequence.get(sequence);
    return change?.id !== id || change.label !== label;
  });
  if (lost.length > 0) console.error(lost);
  const labels = new Map<string, string | null>();
  for (const { id, label } of log.toReversed()) labels.set(id, label);
  const ids = [...labels.keys()];
  const held = await neighbours.labelsOf(ids);
  const differing = ids.filter((id, i) => (labels.get(id) ?? null) !== held[i]).length;
  const gaps = log.length - (log[0]?.sequence ?? 0);
  await neighbours.close();

  const count = (status: (of: number) => boolean): number =>
    answers.filter((answer) => status(answer.status)).length;
  const late = answers.filter(({ ms }) => ms > limitMs).length;
  const refused = answers.filter(({ status }) => status === 503).map(({ ms }) => ms);
  const others = count((status) => status !== 200 && status !== 503);
  console.log(
    `${machine()}\n${kills} kills, ${acknowledged.length} acknowledged changes: ${lost.length} lost, ` +
      `${gaps} gaps in their numbers, ${differing} examples other than the changes say\n` +
      `changes not acknowledged, by status: ${JSON.stringify(Object.fromEntries(refusals))}\n` +
      `classify: ${count((status) => status === 200)} answered 200, ${refused.length} answered 503 ` +
      `(p50 ${percentile(refused, 0.5).toFixed(0)} ms, longest ${Math.max(0, ...refused).toFixed(0)} ms), ${others} others, ` +
      `${late} later than the limit\n` +
      `from a database that takes connections to the first 200: median ${percentile(back, 0.5).toFixed(0)} ms, longest ` +
      `${Math.max(...back).toFixed(0)} ms`,
  );
  const isFine = lost.length + gaps + differing + late + others === 0 && Math.max(...back) <= barMs;
  process.exitCode = isFine ? 0 : 1;
} finally {
  isOver = true;
  await server.stop();
  await own.stop();
}
