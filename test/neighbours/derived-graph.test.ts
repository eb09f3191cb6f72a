import { execFileSync } from 'node:child_process';
import {
  appendFile,
  mkdtemp,
  readFile,
  readdir,
  rm,
  statfs,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { compactIndex } from '../../src/build/compact.js';
import { changeIndex } from '../../src/curate/change-index.js';
import { loadHnswModule } from '../../src/neighbours/hnsw.js';
import { openIndex } from '../../src/examples/index-store.js';
import { openSearcher } from '../../src/neighbours/open-searcher.js';
import { publishSmallIndex } from './small-index.js';
import { randomUnitRows } from './unit-vectors.js';

const hnswLoads = (await loadHnswModule()) !== undefined;
const embeddings = randomUnitRows(300, 8, 3);
const examples = Array.from({ length: 300 }, (_, i) => ({ id: `${i}`, label: 'a', source: `${i}` }));
const bases: string[] = [];

// Needs hnswlib-node, which an installation without a compiler lacks.
describe.skipIf(!hnswLoads)('a version that travels without its graph', () => {
  let root = '';
  let dir = '';
  let published: Buffer;
  beforeEach(async () => {
    const base = await mkdtemp(join(tmpdir(), 'nearvote-derived-'));
    bases.push(base);
    root = join(base, 'small');
    dir = await publishSmallIndex({ root, embeddings, examples });
    published = await readFile(join(dir, 'vectors.hnsw'));
    await unlink(join(dir, 'vectors.hnsw'));
  });
  afterAll(() => Promise.all(bases.map((base) => rm(base, { recursive: true }))));

  const derived = async (): Promise<string[]> =>
    (await readdir(dir)).filter((name) => name.includes('derived')).sort();

  async function searchedBy(): Promise<{ kind: string; rows: number[] }> {
    const searcher = await openSearcher({ dir, mode: 'auto', threads: 1 });
    const found = await searcher.search(embeddings, 3);
    await searcher.close();
    return { kind: searcher.kind, rows: [...found.rows] };
  }

  it('is opened, and derives the very graph that was published, once', async () => {
    expect((await openIndex(root)).examples).toHaveLength(300);
    const first = await searchedBy();
    expect(first.kind).toBe('hnsw');
    expect(first.rows.filter((_, i) => i % 3 === 0)).toEqual(examples.map((_, row) => row));
    const [name = '', ...others] = await derived();
    expect(others).toEqual([]);
    expect(published.equals(await readFile(join(dir, name)))).toBe(true);
    expect(await searchedBy()).toEqual(first);
    expect(await derived()).toEqual([name]);
  });

  it('derives it anew when the file was torn or is another', async () => {
    const first = await searchedBy();
    const [name = ''] = await derived();
    await truncate(join(dir, name), 100);
    await writeFile(join(dir, `derived-${'0'.repeat(64)}.hnsw`), published);
    expect(await searchedBy()).toEqual(first);
    expect(await derived()).toEqual([name]);
    expect(published.equals(await readFile(join(dir, name)))).toBe(true);
  });

  it('survives several searchers deriving it at once', async () => {
    const all = await Promise.all([searchedBy(), searchedBy(), searchedBy()]);
    expect(new Set(all.map((one) => JSON.stringify(one))).size).toBe(1);
    expect(await derived()).toHaveLength(1);
  });

  it.skipIf(process.getuid?.() !== 0)(
    'is searched by a graph in memory where the disk is full, and is not compacted by half',
    async (context) => {
      const disk = await mkdtemp(join(tmpdir(), 'nearvote-small-disk-'));
      try {
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk], { stdio: 'pipe' });
      } catch {
        await rm(disk, { recursive: true });
        context.skip('nothing can be mounted here');
      }
      try {
        const first = await searchedBy();
        root = join(disk, 'small');
        dir = await publishSmallIndex({ root, embeddings, examples });
        await unlink(join(dir, 'vectors.hnsw'));
        const acts = [{ kind: 'relabel', id: '7', label: 'b' }] as const;
        const now = (): Date => new Date();
        await changeIndex({ root, now, request: { kind: 'edit', acts, reason: null, who: null } });
        // Room for the rows of a version, and not for its graph.
        const leave = async (bytes: number): Promise<void> => {
          const { bavail, bsize } = await statfs(disk);
          await appendFile(join(disk, 'ballast'), Buffer.alloc(bavail * bsize - bytes));
        };
        await leave(40_960);
        const progress = { start: () => undefined, advance: () => undefined, finish: () => undefined };
        await expect(compactIndex({ root, keep: 2, threads: 1, progress, now })).rejects.toMatchObject({
          code: 'output_unwritable',
          message: expect.stringContaining('is the disk full?') as string,
        });
        await leave(8_192);
        expect(await searchedBy()).toEqual(first);
        expect(await derived()).toEqual([]);
        await rm(join(disk, 'ballast'));
        expect(await compactIndex({ root, keep: 2, threads: 1, progress, now })).toMatchObject({
          changed: true,
        });
      } finally {
        execFileSync('umount', ['--lazy', disk]);
        await rm(disk, { recursive: true });
      }
    },
  );

  it('ignores what another process left half-written', async () => {
    await writeFile(join(dir, '.derived-1'), 'half');
    expect((await searchedBy()).kind).toBe('hnsw');
  });
});
