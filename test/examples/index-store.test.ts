import { mkdtemp, readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Example } from '../../src/domain/decision.js';
import { loadHnswModule } from '../../src/neighbours/hnsw.js';
import { checkEncoder, openIndex } from '../../src/examples/index-store.js';
import { openSearcher } from '../../src/neighbours/open-searcher.js';
import { editManifest, encoderIdentity, publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle, randomUnitRows } from '../neighbours/unit-vectors.js';

const hnswLoads = (await loadHnswModule()) !== undefined;

const embeddings = onCircle([0, 90, 10, 180]);
const examples: Example[] = [
  { id: 'a/1.png', label: 'Ärmel "kurz"', source: 'a/1.png' },
  { id: 'b/2.png', label: '__proto__', source: 'b/2\n.png' },
  { id: 'a/3.png', label: 'Ärmel "kurz"', source: 'a/\u2028\\3.png' },
  { id: 'c/4.png', label: '猫🐈', source: 'c/4.png' },
];

describe('an index on disk', () => {
  let base = '';
  let root = '';
  let dir = '';
  let made = 0;
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-store-'));
  });
  afterAll(() => rm(base, { recursive: true }));
  beforeEach(async () => {
    root = join(base, `pets-${made++}`);
    dir = await publishSmallIndex({ root, embeddings, examples });
  });

  const rejection = async (): Promise<{ code: string; message: string }> =>
    openIndex(root).then(
      () => ({ code: 'opened', message: '' }),
      (error: unknown) => error as { code: string; message: string },
    );

  it('opens with the names, labels and sources it was given', async () => {
    const index = await openIndex(root);
    expect(index.name).toBe(basename(root));
    expect(index.dir).toBe(dir);
    expect(index.version).toBe(basename(dir));
    expect(index.examples).toEqual(examples);
    expect(index.manifest.labels).toContainEqual({ label: '__proto__', examples: 1 });
  });

  it.each(['auto', 'exact'] as const)('answers a search in mode %s with its rows', async (mode) => {
    const searcher = await openSearcher({ dir, mode, threads: 1 });
    expect(searcher.kind).toBe(mode === 'auto' && hnswLoads ? 'hnsw' : 'exact');
    expect([...(await searcher.search(onCircle([2]), 4)).rows]).toEqual([0, 2, 1, 3]);
    await searcher.close();
  });

  it('answers from exact search where hnswlib-node does not load', async () => {
    const loadHnsw = (): Promise<undefined> => Promise.resolve(undefined);
    const searcher = await openSearcher({ dir, mode: 'auto', threads: 1, loadHnsw });
    expect(searcher.kind).toBe('exact');
    expect([...(await searcher.search(onCircle([2]), 2)).rows]).toEqual([0, 2]);
    await searcher.close();
  });

  it('answers from exact search where the index was built without a graph', async () => {
    dir = await publishSmallIndex({ root, embeddings, examples, withoutGraph: true });
    expect((await openIndex(root)).manifest.files['vectors.hnsw']).toBeUndefined();
    const searcher = await openSearcher({ dir, mode: 'auto', threads: 1 });
    expect(searcher.kind).toBe('exact');
    await searcher.close();
  });

  it('says how to build an index where there is none', async () => {
    const missing = join(base, 'none');
    await expect(openIndex(missing)).rejects.toMatchObject({
      code: 'index_missing',
      message: expect.stringContaining('nearvote build --data DIR') as string,
    });
  });

  it.each(['../pets-0', '/etc', '..', '.', '', 'a/b', 'a\\b', 'a\nb'])(
    'refuses a current that names %j',
    async (name) => {
      await writeFile(join(root, 'current'), name);
      expect(await rejection()).toMatchObject({ code: 'index_invalid' });
    },
  );

  it('refuses a current that names a version that is not there', async () => {
    await writeFile(join(root, 'current'), 'v9\n');
    expect(await rejection()).toMatchObject({ code: 'index_missing' });
  });

  const files = ['examples.jsonl', 'embeddings.f32', 'vectors.hnsw'].filter(
    (file) => hnswLoads || file !== 'vectors.hnsw',
  );

  it.each(files)(
    'refuses a %s that is missing, cut short, or has one bit turned, and names it',
    async (file) => {
      const path = join(dir, file);
      const whole = await readFile(path);
      const turned = Buffer.from(whole);
      turned[turned.length >> 1] = (turned[turned.length >> 1] ?? 0) ^ 1;
      await writeFile(path, turned);
      expect(await rejection()).toMatchObject({ code: 'index_invalid' });
      expect((await rejection()).message).toContain(file);
      await truncate(path, whole.length - 1);
      expect(await rejection()).toMatchObject({ code: 'index_invalid' });
      expect((await rejection()).message).toContain(file);
      await unlink(path);
      // Without its graph an index is whole: the graph follows from the embeddings.
      if (file !== 'vectors.hnsw') {
        expect(await rejection()).toMatchObject({ code: 'index_invalid' });
        expect((await rejection()).message).toContain(file);
      }
      await writeFile(path, whole);
      expect((await openIndex(root)).examples).toHaveLength(4);
    },
  );

  it('refuses to search a version whose vectors or embeddings were cut short after it was opened', async () => {
    await truncate(join(dir, 'embeddings.f32'), 8);
    await expect(openSearcher({ dir, mode: 'exact', threads: 1 })).rejects.toMatchObject({
      code: 'index_invalid',
      message: 'Expected embeddings.f32 to hold 32 bytes but it holds 8',
    });
    if (!hnswLoads) return;
    await truncate(join(dir, 'vectors.hnsw'), 100);
    await expect(openSearcher({ dir, mode: 'auto', threads: 1 })).rejects.toMatchObject({
      code: 'index_invalid',
    });
  });

  it.each([
    ['schemaVersion', 2],
    ['dimension', 0],
    ['examples', 'four'],
    ['surprise', true],
  ])('refuses a manifest whose %s is %j and names the field', async (field, value) => {
    await editManifest(dir, (manifest) => (manifest[field] = value));
    const { code, message } = await rejection();
    expect(code).toBe('index_invalid');
    expect(message).toContain(field);
  });

  it('refuses a manifest whose counts are not those of its files', async () => {
    await editManifest(dir, (manifest) => (manifest['examples'] = 5));
    expect(await rejection()).toMatchObject({ code: 'index_invalid' });
    await editManifest(dir, (manifest) => {
      manifest['examples'] = 4;
      manifest['dimension'] = 3;
    });
    expect((await rejection()).message).toContain('48 bytes');
    await editManifest(dir, (manifest) => {
      manifest['dimension'] = 2;
      manifest['labels'] = [{ label: 'cat', examples: 4 }];
    });
    expect((await rejection()).message).toContain('labels');
  });

  it('refuses a manifest that is not JSON', async () => {
    await writeFile(join(dir, 'manifest.json'), '{"schemaVersion": 1');
    expect(await rejection()).toMatchObject({ code: 'index_invalid' });
  });

  it('takes its own encoder and refuses any other', async () => {
    const index = await openIndex(root);
    expect(() => checkEncoder(index, encoderIdentity)).not.toThrow();
    expect(() => checkEncoder(index, { ...encoderIdentity, sha256: 'f'.repeat(64) })).toThrow(
      expect.objectContaining({ code: 'encoder_mismatch' }),
    );
    expect(() => checkEncoder(index, { ...encoderIdentity, digest: 'f'.repeat(64) })).toThrow(
      expect.objectContaining({
        code: 'encoder_mismatch',
        message: expect.stringContaining('its geometry') as string,
      }),
    );
    expect(() => checkEncoder(index, { ...encoderIdentity, output: { dimension: 3 } })).toThrow(
      expect.objectContaining({ code: 'encoder_mismatch' }),
    );
  });

  it('takes an index that was built before indexes said anything of the geometry', async () => {
    await editManifest(dir, (manifest) => delete (manifest['encoder'] as Record<string, unknown>)['digest']);
    const index = await openIndex(root);
    expect(() => checkEncoder(index, { ...encoderIdentity, digest: 'f'.repeat(64) })).not.toThrow();
  });

  it('opens 10,000 x 256 within a second, on a busy machine too', async () => {
    const many = Array.from({ length: 10_000 }, (_, i) => ({
      id: `${i}`,
      label: `${i % 10}`,
      source: `${i}`,
    }));
    const big = await publishSmallIndex({
      root: join(base, 'big'),
      embeddings: randomUnitRows(10_000, 256),
      examples: many,
      withoutGraph: true,
    });
    await openIndex(join(base, 'big'));
    const started = performance.now();
    await openIndex(join(base, 'big'));
    const searcher = await openSearcher({ dir: big, mode: 'exact', threads: 1 });
    // Generous: the machine may be busy with other tests.
    expect(performance.now() - started).toBeLessThan(1000);
    await searcher.close();
  });
});
