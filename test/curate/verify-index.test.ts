import { appendFile, mkdtemp, readdir, readFile, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verifyIndex } from '../../src/curate/verify-index.js';
import { openIndex } from '../../src/examples/index-store.js';
import { loadHnswModule } from '../../src/neighbours/hnsw.js';
import { editManifest } from '../neighbours/small-index.js';
import { journalOf, operation, relabel, teachSmallIndex } from './taught-index.js';

const hnswLoads = (await loadHnswModule()) !== undefined;

let base = '';
let root = '';
let dir = '';
let made = 0;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-verify-'));
});
afterAll(() => rm(base, { recursive: true }));
beforeEach(async () => {
  root = join(base, `pets-${made++}`);
  dir = await teachSmallIndex(root);
});

async function turnABit(file: string): Promise<void> {
  const bytes = await readFile(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  await writeFile(file, bytes);
}

describe('what is kept of an index', () => {
  it('is well where nothing is wrong, and is left as it was', async () => {
    const before = (await readdir(root, { recursive: true })).filter((name) => !name.startsWith('live.db'));
    expect(await verifyIndex({ root })).toEqual({
      ...{ version: basename(dir), versions: 1, changes: 4, repaired: [], defects: [] },
    });
    const after = (await readdir(root, { recursive: true })).filter((name) => !name.startsWith('live.db'));
    expect(after).toEqual(before);
  });

  it('has every file named that is not what the manifest says', async () => {
    await turnABit(join(dir, 'examples.jsonl'));
    await turnABit(join(dir, 'embeddings.f32'));
    await appendFile(join(dir, 'rejects.jsonl'), 'x');
    const { defects } = await verifyIndex({ root });
    expect(defects).toHaveLength(3);
    for (const file of ['examples.jsonl', 'embeddings.f32', 'rejects.jsonl']) {
      expect(defects.join('\n')).toContain(join(dir, file));
    }
  });

  it.each([
    ['counts that are not those of its examples', 'labels', [{ label: 'cat', examples: 4 }], 'labels'],
    ['a manifest with a wrong field', 'ef', 0, 'ef is wrong'],
  ])('has %s named', async (_, field, value, said) => {
    await editManifest(dir, (manifest) => (manifest[field] = value));
    const { defects } = await verifyIndex({ root });
    expect(defects.join('\n')).toContain(said);
  });

  it('has a current named that names nothing', async () => {
    await writeFile(join(root, 'current'), 'v9\n');
    const { defects, version } = await verifyIndex({ root });
    expect(version).toBeNull();
    expect(defects.join('\n')).toContain('v9');
  });

  it('has each damage named of files, journal and calibration, all at once', async () => {
    await turnABit(join(dir, 'embeddings.f32'));
    await turnABit(join(root, 'live.db'));
    await writeFile(join(root, 'calibration.json'), '{}');
    const { defects } = await verifyIndex({ root });
    const said = defects.join('\n');
    for (const file of ['embeddings.f32', 'live.db', 'calibration.json']) expect(said).toContain(file);
  });

  it('has a change named that does not fit the examples', async () => {
    const journal = await journalOf(root);
    journal.append(operation(relabel('nobody', 'cat', 'dog')));
    journal.close();
    const { defects } = await verifyIndex({ root });
    expect(defects).toEqual([expect.stringContaining('change 5')]);
  });

  it('has to be there', async () => {
    await expect(verifyIndex({ root: join(base, 'none') })).rejects.toMatchObject({ code: 'index_missing' });
  });
});

describe.skipIf(!hnswLoads)('a graph that is not what it was', () => {
  const graph = (): string => join(dir, 'vectors.hnsw');

  it('is made anew from the embeddings, as it was', async () => {
    const whole = await readFile(graph());
    await turnABit(graph());
    await expect(openIndex(root)).rejects.toMatchObject({ code: 'index_invalid' });
    const { repaired, defects } = await verifyIndex({ root });
    expect(defects).toEqual([]);
    expect(repaired).toEqual([expect.stringMatching(/vectors\.hnsw .* made anew .* is what it was/)]);
    expect((await readFile(graph())).equals(whole)).toBe(true);
    expect((await openIndex(root)).examples).toHaveLength(4);
    expect((await readdir(dir)).sort()).toEqual(
      ['embeddings.f32', 'examples.jsonl', 'manifest.json', 'rejects.jsonl', 'vectors.hnsw'].sort(),
    );
    expect((await verifyIndex({ root })).repaired).toEqual([]);
  });

  it('is replaced by another where another hnswlib had made it', async () => {
    const other = 'f'.repeat(64);
    await editManifest(dir, (manifest) => {
      const files = manifest['files'] as Record<string, { sha256: string; bytes: number }>;
      files['vectors.hnsw'] = { sha256: other, bytes: 7 };
    });
    const { repaired, defects } = await verifyIndex({ root });
    expect([defects, repaired]).toEqual([[], [expect.stringContaining('by another build of hnswlib')]]);
    expect((await readdir(dir)).filter((name) => name.startsWith('derived-'))).toHaveLength(1);
    expect((await openIndex(root)).examples).toHaveLength(4);
    expect((await verifyIndex({ root })).repaired).toEqual([]);
  });

  it('is made anew where it was derived here and is damaged', async () => {
    await unlink(graph());
    await writeFile(join(dir, `derived-${'0'.repeat(64)}.hnsw`), 'no graph');
    const { repaired, defects } = await verifyIndex({ root });
    expect([defects, repaired]).toEqual([[], [expect.stringContaining('derived-0000')]]);
    expect((await readdir(dir)).filter((name) => name.endsWith('.hnsw'))).toEqual(['vectors.hnsw']);
  });

  it('is left, and said to be wrong, where hnswlib-node does not load', async () => {
    await turnABit(graph());
    const loadHnsw = (): Promise<undefined> => Promise.resolve(undefined);
    const { repaired, defects } = await verifyIndex({ root, loadHnsw });
    expect(repaired).toEqual([]);
    expect(defects).toEqual([expect.stringMatching(/vectors\.hnsw .* hnswlib-node does not load/)]);
  });

  it('is not made anew of embeddings that are wrong', async () => {
    await turnABit(graph());
    await turnABit(join(dir, 'embeddings.f32'));
    const { repaired, defects } = await verifyIndex({ root });
    expect(repaired).toEqual([]);
    expect(defects).toEqual([expect.stringContaining('embeddings.f32')]);
  });
});
