import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compactIndex } from '../../src/build/compact.js';
import { readPublished } from '../../src/examples/index-store.js';
import { openIndexOwner } from '../../src/neighbours/index-owner.js';
import type { Neighbours } from '../../src/neighbours/neighbours.js';
import type { OpenPair } from '../../src/pair.js';
import { followIndex, type Following } from '../../src/server/following.js';
import { createServing, type ServedIndex } from '../../src/server/serving.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';

const soon = { timeout: 20_000, interval: 10 };
let folder = '';
let root = '';
let served: ServedIndex;
let following: Following | undefined;
let warnings: string[] = [];
let reloads = 0;
const open = new Set<Neighbours>();

const examples = [0, 90].map((degrees) => ({ id: `a${degrees}`, label: 'built', source: `${degrees}.png` }));
const publish = (createdAt: string): Promise<string> =>
  publishSmallIndex({ root, embeddings: onCircle([0, 90]), examples, createdAt });

async function owner(access: 'read' | 'write'): Promise<Neighbours> {
  const neighbours = await openIndexOwner({
    ...(await readPublished(root)),
    ...{ search: 'exact', threads: 1, access },
  });
  open.add(neighbours);
  return neighbours;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nearvote-following-'));
  root = join(folder, 'small');
  warnings = [];
  reloads = 0;
  await publish('2026-01-01T00:00:00.000Z');
  [served] = createServing(['small']).indexes;
  served.pair = { published: await readPublished(root), neighbours: await owner('read') } as OpenPair;
  served.reload = async () => {
    reloads++;
    const published = await readPublished(root);
    served.pair = { published, neighbours: await owner('read') } as OpenPair;
    return published;
  };
});
afterEach(async () => {
  following?.stop();
  await Promise.all([...open].map((neighbours) => neighbours.close()));
  open.clear();
  await rm(folder, { recursive: true });
});

function follow(): void {
  const logger = pino({ level: 'warn' }, { write: (line: string) => warnings.push(messageOf(line)) });
  following = followIndex({ served, root, logger, everyMs: 10 });
}

const messageOf = (line: string): string => (JSON.parse(line) as { msg: string }).msg;
const sequence = (): number | undefined => served.pair?.neighbours.state.sequence;
const remove = async (writer: Neighbours, id: string): Promise<void> => {
  await writer.change({ kind: 'edit', acts: [{ kind: 'delete', id }], reason: null, who: null });
};

describe('a server that follows', () => {
  it('takes over the changes of the writer, the first journal among them', async () => {
    follow();
    const writer = await owner('write');
    await remove(writer, 'a0');
    await expect.poll(sequence, soon).toBe(1);
    await remove(writer, 'a90');
    await expect.poll(sequence, soon).toBe(2);
    expect(following?.staleSeconds).toBeLessThan(20);
    expect(reloads).toBe(0);
  });

  it('loads the version that changes are folded into, and none that a build publishes', async () => {
    await remove(await owner('write'), 'a0');
    follow();
    await expect.poll(sequence, soon).toBe(1);
    const progress = { start: () => undefined, advance: () => undefined, finish: () => undefined };
    await compactIndex({
      root,
      keep: 2,
      threads: 1,
      progress,
      now: () => new Date('2026-02-01T00:00:00.000Z'),
    });
    await expect.poll(() => reloads, soon).toBe(1);
    await expect.poll(() => served.pair?.neighbours.state, soon).toMatchObject({ sequence: 1, changed: 0 });
    const former = served.pair?.published.version;
    await publish('2026-03-01T00:00:00.000Z');
    await remove(await owner('write'), 'a90');
    // By then the new version was seen more than once.
    await expect.poll(() => following?.staleSeconds, soon).toBeLessThan(1);
    expect([served.pair?.published.version, reloads]).toEqual([former, 1]);
  });

  it('says once that it cannot, waits longer each time, and goes on when it can', async () => {
    const { version } = await readPublished(root);
    await writeFile(join(root, 'current'), '../outside\n');
    follow();
    await expect.poll(() => warnings, soon).toEqual(['the index cannot be followed; it is served as it was']);
    await expect.poll(() => following?.staleSeconds ?? 0, soon).toBeGreaterThan(0.05);
    await writeFile(join(root, 'current'), `${version}\n`);
    await remove(await owner('write'), 'a0');
    await expect.poll(sequence, soon).toBe(1);
    expect(warnings).toHaveLength(1);
  });
});
