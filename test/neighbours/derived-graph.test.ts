import { mkdtemp, readFile, readdir, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
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

  it('ignores what another process left half-written', async () => {
    await writeFile(join(dir, '.derived-1'), 'half');
    expect((await searchedBy()).kind).toBe('hnsw');
  });
});
