import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { Example } from '../../src/domain/decision.js';
import { readPublished } from '../../src/examples/index-store.js';
import { openIndexOwner, type IndexOwnerOptions } from '../../src/neighbours/index-owner.js';
import type { Nearest, Neighbours } from '../../src/neighbours/neighbours.js';
import { childrenRunning } from '../processes/children-running.js';
import { publishSmallIndex } from './small-index.js';
import { nearestByLoop, randomUnitRows } from './unit-vectors.js';

const embeddings = randomUnitRows(400, 16, 7);
const queries = randomUnitRows(40, 16, 8);
const examples = Array.from({ length: 400 }, (_, i): Example => ({
  id: `id-${i}`,
  label: `label ${i % 3}`,
  source: `folder/${i}.png`,
}));
const queryOf = (i: number): Float32Array => queries.values.slice(i * 16, (i + 1) * 16);

let root = '';
let open: Neighbours | undefined;
beforeAll(async () => {
  root = join(await mkdtemp(join(tmpdir(), 'nearvote-owner-')), 'small');
  await publishSmallIndex({ root, embeddings, examples });
});
afterEach(async () => {
  await open?.close();
  open = undefined;
});
afterAll(() => rm(join(root, '..'), { recursive: true }));

async function owner(options: Partial<IndexOwnerOptions> = {}): Promise<Neighbours> {
  open = await openIndexOwner({ ...(await readPublished(root)), search: 'auto', threads: 1, ...options });
  return open;
}

/** What does not depend on when it was asked. */
const found = ({ labels, similarities, examples: shown }: Nearest): unknown => ({
  labels,
  similarities: [...similarities],
  shown,
});

describe.each(['auto', 'exact'] as const)('the owner of an index, search %s', (search) => {
  it('finds for many at once what a double loop finds, and names as many as asked', async () => {
    const neighbours = await owner({ search });
    const expected = nearestByLoop(embeddings, queries, 7);
    const all = await Promise.all(
      expected.map((_, i) => neighbours.search(queryOf(i), { k: 7, shown: i % 9 })),
    );
    for (const [i, nearest] of all.entries()) {
      const { rows = [], similarities = [] } = expected[i] ?? {};
      expect(nearest.labels).toEqual(rows.map((row) => examples[row]?.label));
      expect(nearest.examples).toEqual(rows.slice(0, i % 9).map((row) => examples[row]));
      for (const [j, similarity] of similarities.entries()) {
        expect(nearest.similarities[j]).toBeCloseTo(similarity, 5);
      }
    }
  });

  it('finds the same for an image whatever is asked beside it, to the last bit', async () => {
    const neighbours = await owner({ search });
    const alone: unknown[] = [];
    for (let i = 0; i < 20; i++) alone.push(found(await neighbours.search(queryOf(i), { k: 5, shown: 5 })));
    const others = Array.from({ length: 20 }, (_, i) => {
      return neighbours.search(queryOf(20 + i), { k: i % 2 === 0 ? 400 : 1, shown: 0 });
    });
    const beside = Array.from({ length: 20 }, (_, i) => neighbours.search(queryOf(i), { k: 5, shown: 5 }));
    expect((await Promise.all(beside)).map(found)).toEqual(alone);
    expect((await Promise.all(others)).map(({ labels }) => labels.length).slice(0, 2)).toEqual([400, 1]);
  });
});

describe('the owner of an index', () => {
  it('knows its version and labels without holding examples, and refuses a k beyond them', async () => {
    const neighbours = await owner();
    expect(neighbours.version).toMatchObject({ name: 'small' });
    expect(neighbours.state).toMatchObject({ sequence: 0, examples: 400, changed: 0 });
    expect(neighbours.state.labels).toContainEqual({ label: 'label 0', examples: 134 });
    await expect(neighbours.search(queryOf(0), { k: 401, shown: 1 })).rejects.toMatchObject({
      code: 'k_too_large',
    });
  });

  it('does not ask for what was cancelled before it was sent', async () => {
    const neighbours = await owner();
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(neighbours.search(queryOf(0), { k: 1, shown: 1, signal: gone })).rejects.toThrow('gone');
    expect((await neighbours.search(queryOf(0), { k: 1, shown: 1 })).labels).toHaveLength(1);
  });

  it('answers what it holds when it is closed, and nothing after', async () => {
    const neighbours = await owner();
    const held = neighbours.search(queryOf(0), { k: 3, shown: 3 });
    await new Promise(setImmediate);
    await neighbours.close();
    expect((await held).labels).toHaveLength(3);
    await expect(neighbours.search(queryOf(0), { k: 3, shown: 3 })).rejects.toMatchObject({
      code: 'shutting_down',
    });
    expect(neighbours.ready).toBe(false);
  });

  // Children are found in /proc.
  it.skipIf(process.platform !== 'linux')('has its version to open again whatever is published', async () => {
    const kept = join(root, '..', 'kept');
    const publish = (second: number): Promise<string> =>
      publishSmallIndex({
        root: kept,
        embeddings,
        examples: examples.map((example) => ({ ...example, source: `${second}` })),
        createdAt: `2026-01-01T00:00:0${second}.000Z`,
        keep: 0,
      });
    const served = await publish(1);
    const reasons: string[] = [];
    const onRestart = (reason: string): number => reasons.push(reason);
    const neighbours = await owner({ ...(await readPublished(kept)), onRestart });
    const before = found(await neighbours.search(queryOf(0), { k: 5, shown: 5 }));
    for (const second of [2, 3]) await publish(second);
    const [pid = 0] = childrenRunning('index-process');
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => reasons).toEqual(['signal SIGKILL']);
    await expect.poll(() => neighbours.ready, { timeout: 20_000 }).toBe(true);
    expect(found(await neighbours.search(queryOf(0), { k: 5, shown: 5 }))).toEqual(before);
    await neighbours.close();
    await publish(4);
    expect(existsSync(served)).toBe(false);
  });

  it('gives no label for a place that no label has', async () => {
    const processFile = new URL('misplacing-process.mjs', import.meta.url);
    const neighbours = await owner({ processFile });
    await expect(neighbours.search(queryOf(0), { k: 1, shown: 1 })).rejects.toMatchObject({
      code: 'internal',
      message: 'Expected the place of a label below 2 but received 2',
    });
  });

  it('does not open a version whose files are not what its manifest says', async () => {
    const published = await readPublished(root);
    const { files } = published.manifest;
    const wrong = { ...files['examples.jsonl'], sha256: '0'.repeat(64) };
    const manifest = { ...published.manifest, files: { ...files, 'examples.jsonl': wrong } };
    await expect(owner({ manifest })).rejects.toMatchObject({ code: 'index_invalid' });
  });
});
