/* A process that changes an index in PostgreSQL and searches it until its input ends; bench/postgres/many-writers.ts starts it. */
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { NearvoteError } from '../../src/domain/errors.js';
import type { ChangeRequest } from '../../src/neighbours/changes.js';
import { parseIndexUrl } from '../../src/postgres/index-url.js';
import { openPostgresIndex } from '../../src/postgres/postgres-index.js';
import { directions, dimension } from '../changes/plain-list.js';
import { seededRandom } from '../drawn-images.js';

/** A line of its output. */
export type Said =
  | { readonly kind: 'ready' }
  /** Acknowledged: what the change with that number was. */
  | {
      readonly kind: 'changed';
      readonly sequence: number;
      readonly id: string;
      readonly label: string | null;
    }
  /** What was searched, and what it had been told of before it asked. */
  | { readonly kind: 'searched'; readonly sequence: number; readonly after: number }
  | { readonly kind: 'refused'; readonly code: string };

const [, , told = '', name = 'p'] = process.argv;
const url = parseIndexUrl(told);
const random = seededRandom(name.charCodeAt(1));
const pick = (count: number): number => Math.floor(random() * count);
const say = (said: Said): void => void writeSync(1, `${JSON.stringify(said)}\n`);
/** The newest that it was told of. */
let newest = 0;
const why = { reason: null, who: name };

let isOver = false;
process.stdin.resume().once('end', () => (isOver = true));

const open = () =>
  openPostgresIndex({
    ...{ url, name: 'index', search: 'auto', access: 'write', now: () => new Date(), connections: 3 },
    limits: { connectMs: 1_000, statementMs: 1_000 },
  });
let opened: Awaited<ReturnType<typeof open>> | undefined;
while (opened === undefined) opened = await open().catch(() => undefined);
const index = opened;
say({ kind: 'ready' });

/** Of all processes: each changes what others have added too. */
const ids = Array.from({ length: 30 }, (_, i) => `a${i}`);

function draw(n: number): ChangeRequest {
  const label = `label ${pick(5)}`;
  const id = ids[pick(ids.length)] ?? '';
  const act = pick(4);
  if (act < 2) {
    const embedding = directions[pick(directions.length)] ?? new Float32Array(dimension);
    const digest = createHash('sha256').update(`${name} ${n}`).digest('hex');
    return { kind: 'add', examples: [{ id: `${name}-${n}`, label, source: '', digest, embedding }], ...why };
  }
  return {
    kind: 'edit',
    acts: [act === 2 ? { kind: 'relabel', id, label } : { kind: 'delete', id }],
    ...why,
  };
}

async function write(first: number): Promise<void> {
  for (let n = first; !isOver; n += 2) {
    try {
      const { sequence, outcomes } = await index.change(draw(n));
      newest = Math.max(newest, sequence);
      const [one] = outcomes;
      if (one === undefined || one.outcome === 'refused' || one.outcome === 'unchanged') continue;
      if (one.outcome === 'added') ids.push(one.id);
      say({ kind: 'changed', sequence, id: one.id, label: one.outcome === 'deleted' ? null : one.label });
    } catch (error) {
      await refuse(error);
    }
  }
}

/** One after another: each begins after the one before was answered. */
async function search(): Promise<void> {
  while (!isOver) {
    try {
      const embedding = directions[pick(directions.length)] ?? new Float32Array(dimension);
      const after = newest;
      const { state } = await index.search(embedding, { k: 5, clamped: true, shown: 1 });
      newest = Math.max(newest, state.sequence);
      say({ kind: 'searched', sequence: state.sequence, after });
    } catch (error) {
      await refuse(error);
    }
  }
}

async function refuse(error: unknown): Promise<void> {
  say({ kind: 'refused', code: error instanceof NearvoteError ? error.code : String(error) });
  // Refused at once, it would ask without end.
  await new Promise((resolve) => setTimeout(resolve, 10));
}

await Promise.all([write(0), write(1), search()]);
await index.close();
