/*
 * Processes that add, relabel and delete at once in one index in PostgreSQL, while their connections are reset, stall and break
 * off in the middle of an answer: acknowledged changes that are gone, gaps in their numbers, and answers that went back in time.
 *   .ci/postgres.sh get FOLDER && npx tsx bench/postgres/many-writers.ts FOLDER [--seconds 60] [--processes 8]
 * Instead of the folder of a server of its own, NEARVOTE_TEST_POSTGRES_URL may name one.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Change } from '../../src/examples/journal-record.js';
import { openPostgresIndex } from '../../src/postgres/postgres-index.js';
import { openFaultyProxy } from '../../test/postgres/faulty-proxy.js';
import { loadForTest } from '../../test/postgres/server-for-test.js';
import { dimension, directions } from '../changes/plain-list.js';
import { asEmbeddings } from '../../src/domain/embeddings.js';
import { seededRandom } from '../drawn-images.js';
import { machine } from '../report.js';
import { startOwnServer } from './own-server.js';
import type { Said } from './writer.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    processes: { type: 'string', default: '8' },
  },
});
const random = seededRandom(1);
const given = process.env['NEARVOTE_TEST_POSTGRES_URL'];
const own = given === undefined ? await startOwnServer(positionals[0] ?? '') : undefined;
const server = { url: given ?? own?.url ?? '' };
const url = await loadForTest(server, {
  embeddings: asEmbeddings(Float32Array.from(directions.slice(0, 30).flatMap((one) => [...one])), dimension),
  examples: directions.slice(0, 30).map((_, i) => ({ id: `a${i}`, label: `label ${i % 5}`, source: '' })),
});
const names = Array.from({ length: Number(values.processes) }, (_, i) => `p${i}`);

const ready = gate(names.length);
const acknowledged: Extract<Said, { kind: 'changed' }>[] = [];
const refused = new Map<string, number>();
let searches = 0;
let backwards = 0;
const faults = { reset: 0, stall: 0, half: 0 };

/** A process with a proxy of its own, whose connections have faults from when all are ready until it is over. */
async function runOne(name: string): Promise<void> {
  const proxy = await openFaultyProxy(server.url);
  const through = new URL(proxy.url);
  through.searchParams.set('name', url.name);
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', fileURLToPath(new URL('writer.ts', import.meta.url)), through.href, name],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const hear = async (): Promise<void> => {
    for await (const line of createInterface({ input: child.stdout })) {
      const said = JSON.parse(line) as Said;
      if (said.kind === 'ready') ready.arrive();
      else if (said.kind === 'changed') acknowledged.push(said);
      else if (said.kind === 'refused') refused.set(said.code, (refused.get(said.code) ?? 0) + 1);
      else {
        searches++;
        if (said.sequence < said.after) backwards++;
      }
    }
  };
  const disturb = async (): Promise<void> => {
    await ready.all;
    const end = performance.now() + 1_000 * Number(values.seconds);
    while (performance.now() < end) {
      await wait(200 + random() * 1_500);
      const fault = (['reset', 'stall', 'half'] as const)[Math.floor(random() * 3)] ?? 'reset';
      faults[fault]++;
      if (fault === 'reset') proxy.resetAll();
      else {
        proxy.answers = fault;
        await wait(random() * 800);
        proxy.answers = 'pass';
        // What it stalled is lost.
        proxy.resetAll();
      }
    }
    // It ends what it is at, and exits.
    child.stdin.end();
  };
  await Promise.all([hear(), disturb(), ended]);
  await proxy.close();
}

try {
  await Promise.all(names.map(runOne));
  const readers = await Promise.all(
    [1, 2].map(() =>
      openPostgresIndex({ ...{ url, name: 'look', search: 'auto', access: 'read', now: () => new Date() } }),
    ),
  );
  const logs = await Promise.all(readers.map((one) => one.log({ limit: 100_000_000 })));
  const [log = [], other = []] = logs;
  const bySequence = new Map(log.map((change) => [change.sequence, change]));
  const lost = acknowledged.filter(({ sequence, id, label }) => !isSame(bySequence.get(sequence), id, label));
  const twice = acknowledged.length - new Set(acknowledged.map(({ sequence }) => sequence)).size;
  const gaps = log.filter(({ sequence }, i) => sequence !== log.length - i).length;
  const inOrder = log.every(({ at }, i) => i === 0 || at <= (log[i - 1]?.at ?? ''));
  const labels = new Map<string, string | null>();
  for (const { id, label } of log.toReversed()) labels.set(id, label);
  const ids = [...labels.keys()];
  const held = (await readers[0]?.labelsOf(ids)) ?? [];
  const differing = ids.filter((id, i) => (labels.get(id) ?? null) !== held[i]).length;
  const state = await readers[0]?.follow();
  const live = 30 + [...labels].reduce((sum, [id, label]) => sum + differenceOf(id, label), 0);
  for (const one of readers) await one.close();
  if (lost.length > 0) console.error(lost.slice(0, 10));
  console.log(
    `${machine()}\n${names.length} processes, ${values.seconds} s, ${faults.reset} resets, ${faults.stall} stalls and ` +
      `${faults.half} halves of answers\n${log.length} changes, ${acknowledged.length} acknowledged: ${lost.length} lost, ` +
      `${twice} numbers given twice, ${gaps} gaps, ${differing} examples other than the changes say, ` +
      `${Math.abs(live - (state?.examples ?? 0))} more or fewer of them\n` +
      `the history is ${JSON.stringify(log) === JSON.stringify(other) ? 'the same' : 'another'} for two readers` +
      `${inOrder ? '' : ', and its times are not in its order'}\n` +
      `${searches} searches, ${backwards} of a state before one that was seen; refused: ${JSON.stringify(Object.fromEntries(refused))}`,
  );
  process.exitCode =
    lost.length + twice + gaps + differing + backwards === 0 && live === state?.examples ? 0 : 1;
} finally {
  await own?.stop();
}

function isSame(change: Change | undefined, id: string, label: string | null): boolean {
  return change?.id === id && change.label === label;
}

/** What an example that changed adds to those that were loaded. */
function differenceOf(id: string, label: string | null): number {
  const wasLoaded = /^a\d+$/.test(id);
  return Number(label !== null) - Number(wasLoaded);
}

/** Opens when so many have arrived. */
function gate(count: number): { readonly all: Promise<void>; readonly arrive: () => void } {
  let left = count;
  let open: () => void = () => undefined;
  const all = new Promise<void>((resolve) => (open = resolve));
  return {
    all,
    arrive: () => {
      if (--left === 0) open();
    },
  };
}
