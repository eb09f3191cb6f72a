import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { readIndexManifest } from '../../src/examples/index-store.js';
import type { ChangeRequest } from '../../src/neighbours/changes.js';
import { openEmbeddedIndex, type EmbeddedIndex } from '../../src/neighbours/embedded-index.js';
import { loadHnswModule } from '../../src/neighbours/hnsw.js';
import { editManifest, publishSmallIndex } from './small-index.js';
import { onCircle } from './unit-vectors.js';

const hnswLoads = (await loadHnswModule()) !== undefined;

/** The folder of a version of four examples. */
async function publish(): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'nearvote-embedded-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const examples = [0, 1, 2, 3].map((i) => ({ id: String(i), label: 'cat', source: `${i}.png` }));
  return publishSmallIndex({ root, embeddings: onCircle([0, 90, 10, 180]), examples });
}

const open = async (dir: string, search: 'auto' | 'exact'): Promise<EmbeddedIndex> =>
  openEmbeddedIndex({
    ...{ dir, search, threads: 1, access: 'read' },
    manifest: await readIndexManifest(dir),
    now: () => new Date(),
  });

const files = ['examples.jsonl', 'embeddings.f32', ...(hnswLoads ? ['vectors.hnsw'] : [])];

describe.each(['auto', 'exact'] as const)('an index that is opened for search %s', (search) => {
  it('answers when all of its files are what its manifest says', async () => {
    const index = await open(await publish(), search);
    expect([...(await index.search(onCircle([2]), 4)).rows]).toEqual([0, 2, 1, 3]);
    await index.close();
  });

  it.each(files)('is refused before it answers where a bit of its %s is turned', async (file) => {
    const dir = await publish();
    const bytes = await readFile(join(dir, file));
    for (const at of [0, bytes.length >> 1, bytes.length - 1]) {
      const turned = Buffer.from(bytes);
      turned[at] = (turned[at] ?? 0) ^ 1;
      await writeFile(join(dir, file), turned);
      await expect(open(dir, search)).rejects.toMatchObject({
        code: 'index_invalid',
        message: expect.stringContaining(file) as string,
      });
    }
  });
});

describe('examples that are added in several requests', () => {
  const add = (
    degrees: number,
    more: Partial<Extract<ChangeRequest, { kind: 'add' }>> = {},
  ): ChangeRequest => ({
    kind: 'add',
    ...{ reason: null, who: null, ...more },
    examples: [
      {
        digest: createHash('sha256').update(String(degrees)).digest('hex'),
        ...{ label: 'dog', source: 'upload', embedding: onCircle([degrees]).values },
      },
    ],
  });

  it('are one operation while nothing else is changed, and are taken back as one', async () => {
    const dir = await publish();
    const manifest = await readIndexManifest(dir);
    const how = { dir, manifest, search: 'exact', threads: 1, access: 'write' } as const;
    const index = await openEmbeddedIndex({ ...how, now: () => new Date() });
    expect((await index.change(add(20))).operation).toBe(1);
    expect((await index.change(add(30, { continues: 1 }))).operation).toBe(1);
    expect((await index.change(add(40, { continues: 1, reason: 'another' }))).operation).toBe(3);
    expect((await index.change(add(50, { continues: 1 }))).operation).toBe(4);
    const relabelled = { kind: 'relabel', id: '0', label: 'lynx' } as const;
    await index.change({ kind: 'edit', acts: [relabelled], reason: null, who: null });
    expect((await index.change(add(60, { continues: 4 }))).operation).toBe(6);
    await index.change({ kind: 'revert', sequence: 2, reason: null, who: null });
    expect(index.state()).toMatchObject({ sequence: 8, examples: 4 + 5 - 2 });
    await index.close();
  });
});

describe('an index that was taught by another encoder', () => {
  const because = { reason: null, who: null };
  const taught = async (dir: string): Promise<EmbeddedIndex> =>
    openEmbeddedIndex({
      ...{ dir, search: 'exact', threads: 1, access: 'write' },
      manifest: await readIndexManifest(dir),
      now: () => new Date(),
    });

  it('leaves out what that one embedded, and brings none of it back', async () => {
    const dir = await publish();
    const before = await taught(dir);
    const example = {
      digest: 'ab'.repeat(32),
      label: 'dog',
      source: 'a.png',
      embedding: onCircle([45]).values,
    };
    await before.change({ kind: 'add', examples: [example], ...because });
    await before.change({ kind: 'edit', acts: [{ kind: 'delete', id: '3' }], ...because });
    await before.close();

    await editManifest(dir, (manifest) => {
      manifest['encoder'] = { ...(manifest['encoder'] as object), digest: 'f0'.repeat(32) };
    });
    const after = await taught(dir);
    expect(after.state()).toMatchObject({
      examples: 3,
      sequence: 2,
      labels: [{ label: 'cat', examples: 3 }],
    });
    for (const request of [
      { kind: 'revert', sequence: 2 } as const,
      { kind: 'rollback', sequence: 0 } as const,
    ]) {
      await expect(after.change({ ...request, ...because })).rejects.toMatchObject({
        code: 'change_conflict',
        message: expect.stringContaining('embedded by the encoder of this index') as string,
      });
    }
    // By this encoder it is another example.
    const again = await after.change({ kind: 'add', examples: [example], ...because });
    expect(again.outcomes).toEqual([expect.objectContaining({ outcome: 'added', label: 'dog' })]);
    await after.close();
  });
});
