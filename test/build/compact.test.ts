import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { compactAside } from '../../src/build/compact-aside.js';
import { compactIndex, type CompactOptions } from '../../src/build/compact.js';
import { asEmbeddings } from '../../src/domain/embeddings.js';
import { contentDigest, readPublished } from '../../src/examples/index-store.js';
import type { ChangeRequest } from '../../src/neighbours/changes.js';
import { openEmbeddedIndex, type EmbeddedIndex } from '../../src/neighbours/embedded-index.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { randomUnitRows } from '../neighbours/unit-vectors.js';

let folder = '';
let root = '';
const embeddings = randomUnitRows(60, 8, 5);
const taught = randomUnitRows(20, 8, 6);
const examples = Array.from({ length: 60 }, (_, i) => ({
  ...{ id: `a${i}`, label: `label ${i % 3}`, source: `${i}.png` },
}));
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nearvote-compact-'));
  root = join(folder, 'small');
  await publishSmallIndex({ root, embeddings, examples });
});
afterEach(() => rm(folder, { recursive: true }));

const silent = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const now = (): Date => new Date('2026-02-01T00:00:00.000Z');
const compact = (options: Partial<CompactOptions> = {}) =>
  compactIndex({ root, keep: 3, threads: 1, progress: silent, now, ...options });

async function withIndex<T>(work: (index: EmbeddedIndex) => Promise<T>): Promise<T> {
  const index = await openEmbeddedIndex({
    ...(await readPublished(root)),
    ...{ search: 'exact', threads: 1, access: 'write', now },
  });
  try {
    return await work(index);
  } finally {
    await index.close();
  }
}

const change = (
  request:
    | Omit<Extract<ChangeRequest, { kind: 'edit' }>, 'reason' | 'who'>
    | Omit<Extract<ChangeRequest, { kind: 'add' }>, 'reason' | 'who'>,
) => withIndex((index) => index.change({ ...request, reason: null, who: null }));

const added = (row: number, label: string) => ({
  ...{ label, source: `taught ${row}`, digest: row.toString(16).padStart(64, '0') },
  embedding: taught.values.slice(row * 8, (row + 1) * 8),
});

/** Everything that can be asked: every example in order, and what is found near each of them. */
const answers = () =>
  withIndex(async (index) => {
    const queries = asEmbeddings(Float32Array.from([...embeddings.values, ...taught.values]), 8);
    const { rows, similarities } = await index.search(queries, Math.min(index.size, 12));
    return {
      examples: index.list({ limit: 1_000 }).examples,
      found: Array.from(rows, (position) => index.exampleAt(position)),
      similarities,
    };
  });

describe('compaction', () => {
  it('gives a version that answers as the one before did with its changes', async () => {
    await change({
      kind: 'add',
      examples: Array.from({ length: 20 }, (_, i) => added(i, i % 2 === 0 ? 'label 1' : 'fresh')),
    });
    await change({ kind: 'edit', acts: [5, 6, 30].map((i) => ({ kind: 'delete', id: `a${i}` })) });
    await change({ kind: 'edit', acts: [{ kind: 'relabel', id: 'a7', label: 'fresh' }] });
    const before = await answers();
    const { version: parent } = await readPublished(root);
    const report = await compact();
    expect(report).toMatchObject({ changed: true, sequence: 24, examples: 77 });
    const { version, manifest } = await readPublished(root);
    expect(version).toBe(report.version);
    expect(version).not.toBe(parent);
    expect(manifest).toMatchObject({ sequence: 24, dataset: 'drawn' });
    expect(await answers()).toEqual(before);
    await withIndex(async (index) => {
      expect(index.state()).toMatchObject({ sequence: 24, changed: 0 });
      // What was taught goes on being known by its image.
      expect(
        (await index.change({ kind: 'add', examples: [added(3, 'fresh')], reason: null, who: null }))
          .outcomes,
      ).toMatchObject([{ outcome: 'unchanged' }]);
    });
  });

  it('leaves changes that come meanwhile to the journal', async () => {
    await change({ kind: 'edit', acts: [{ kind: 'delete', id: 'a0' }] });
    let told = false;
    await compact({
      loadHnsw: async () => {
        if (!told) await change({ kind: 'edit', acts: [{ kind: 'delete', id: 'a1' }] });
        told = true;
        return undefined;
      },
    });
    expect((await readPublished(root)).manifest).toMatchObject({ sequence: 1, examples: 59 });
    await withIndex((index) => {
      expect(index.state()).toMatchObject({ sequence: 2, examples: 58, changed: 1 });
      return Promise.resolve();
    });
  });

  it('says what it was made from, and how much of that changed', async () => {
    const first = contentDigest((await readPublished(root)).manifest);
    await change({ kind: 'add', examples: [added(0, 'fresh')] });
    await compact();
    const second = contentDigest((await readPublished(root)).manifest);
    await change({ kind: 'edit', acts: [{ kind: 'delete', id: 'a0' }] });
    await compact({ now: () => new Date('2026-02-02T00:00:00.000Z') });
    expect((await readPublished(root)).manifest.lineage).toMatchObject([
      { digest: second, changed: 1, newLabels: [] },
      { digest: first, changed: 2, newLabels: ['fresh'] },
    ]);
  });

  it('of an index without changes publishes nothing', async () => {
    const { version } = await readPublished(root);
    expect(await compact()).toMatchObject({ version, changed: false, sequence: 0 });
    expect((await readdir(root)).filter((name) => name.startsWith('.staging'))).toEqual([]);
  });

  it('runs in a process of its own, which ends', async () => {
    await change({ kind: 'add', examples: [added(0, 'fresh')] });
    const report = await compactAside({ root, keep: 3, threads: 1 });
    expect(report).toMatchObject({ changed: true, sequence: 1, examples: 61 });
    expect((await readPublished(root)).version).toBe(report.version);
  });
});
