import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildIndex } from '../../src/build/build-index.js';
import { compactIndex } from '../../src/build/compact.js';
import { openDataset } from '../../src/image/dataset/open-dataset.js';
import type { ImageContent, LabelledImage } from '../../src/image/dataset/dataset.js';
import { loadHnswModule } from '../../src/neighbours/hnsw.js';
import { encoderIdentity } from '../../src/encoder/manifest.js';
import { writeCalibration } from '../../src/examples/calibration-file.js';
import { contentDigest, openIndex } from '../../src/examples/index-store.js';
import { openEmbeddedIndex } from '../../src/neighbours/embedded-index.js';
import { openSearcher } from '../../src/neighbours/open-searcher.js';
import { seededRandom } from '../neighbours/unit-vectors.js';
import { aCalibration } from '../examples/a-calibration.js';
import { buildOptions } from './build-options.js';
import { createPixelPool, datasetOf, pixelDataset, pixelEncoder, pixelImages } from './pixel-encoder.js';

const hnswLoads = (await loadHnswModule()) !== undefined;

/** Writes 2 x 2 pictures of random colours. */
async function drawFolder(dir: string, count: number, seed: number): Promise<void> {
  await mkdir(dir, { recursive: true });
  const random = seededRandom(seed);
  for (let i = 0; i < count; i++) {
    const raw = Buffer.from(Array.from({ length: 12 }, () => Math.floor(random() * 256)));
    await sharp(raw, { raw: { width: 2, height: 2, channels: 3 } })
      .png()
      .toFile(join(dir, `${i}.png`));
  }
}

describe('building an index', () => {
  let base = '';
  let out = '';
  let made = 0;
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-build-'));
  });
  afterAll(() => rm(base, { recursive: true }));
  beforeEach(() => {
    out = join(base, 'index', `${made++}`);
  });

  it('leaves out what the index was taught only where it is told to', async () => {
    const dataset = pixelDataset({ count: 30 });
    const published = await buildIndex(buildOptions({ out, dataset }));
    const now = (): Date => new Date('2026-03-01T00:00:00.000Z');
    const index = await openEmbeddedIndex({
      ...{ dir: published.dir, manifest: published.manifest, now },
      ...{ search: 'exact', threads: 1, access: 'write' },
    });
    const { id } = index.exampleAt(0);
    await index.change({ kind: 'edit', acts: [{ kind: 'delete', id }], reason: null, who: null });
    await index.close();
    const refused = { code: 'index_changed', message: expect.stringContaining('--drop-changes') as string };
    await expect(buildIndex(buildOptions({ out, dataset }))).rejects.toMatchObject(refused);
    // As much once they are in a version.
    const progress = { start: () => undefined, advance: () => undefined, finish: () => undefined };
    await compactIndex({ root: out, keep: 2, threads: 1, progress, now });
    await expect(buildIndex(buildOptions({ out, dataset }))).rejects.toMatchObject(refused);
    const anew = await buildIndex(buildOptions({ out, dataset, dropChanges: true }));
    expect(anew.manifest).toMatchObject({ examples: 30, sequence: 1 });
    // And from there on it is an index that was built.
    expect((await buildIndex(buildOptions({ out, dataset }))).changed).toBe(false);
  });

  it('says that a calibration ends where the examples change, and finds it again where they come back', async () => {
    const first = pixelDataset({ count: 60 });
    const { name, version, manifest, warnings } = await buildIndex(buildOptions({ out, dataset: first }));
    expect(warnings).toEqual([]);
    const { sha256, digest } = encoderIdentity(pixelEncoder);
    await writeCalibration(
      out,
      aCalibration({
        index: { name, version, digest: contentDigest(manifest) },
        encoder: { name: pixelEncoder.name, sha256, digest },
      }),
    );
    const another = await buildIndex(buildOptions({ out, dataset: pixelDataset({ count: 50 }) }));
    expect(another.warnings).toEqual([
      expect.stringContaining(`Calibrate again: npx nearvote calibrate --data DIR --index ${out}`),
    ]);
    const back = await buildIndex(buildOptions({ out, dataset: first }));
    expect(back.version).not.toBe(version);
    expect(back.warnings).toEqual([]);
    const passedOver = new Map([
      ['.txt', 2],
      ['.db', 1],
    ]);
    const odd = { ...first, passedOver, emptyClasses: ['owls'] };
    expect((await buildIndex(buildOptions({ out, dataset: odd }))).warnings).toEqual([
      'Files that are no images by their names are passed over: 1 .db, 2 .txt',
      'Without images and so no label: owls',
    ]);
  });

  it('publishes every image in the order of its dataset, with its label and embedding', async () => {
    const expected = pixelImages({ count: 100, labels: ['dark', '__proto__', 'light'] });
    const dataset = datasetOf('drawn', expected);
    const report = await buildIndex(buildOptions({ out, dataset }));
    expect(report).toMatchObject({ examples: 100, embedded: 100, fromCache: 0, rejected: 0, warnings: [] });
    const index = await openIndex(out);
    expect(index.examples.map(({ label, source }) => ({ label, source }))).toEqual(
      expected.map(({ label, source }) => ({ label, source })),
    );
    expect(index.manifest.labels).toEqual([
      { label: 'dark', examples: 34 },
      { label: '__proto__', examples: 33 },
      { label: 'light', examples: 33 },
    ]);
    // Each image, as a query, is its own nearest neighbour: rows, embeddings and graph agree.
    const searcher = await openSearcher({ dir: index.dir, mode: 'auto', threads: 1 });
    const exact = await openSearcher({ dir: index.dir, mode: 'exact', threads: 1 });
    const pool = createPixelPool();
    for (const [row, image] of expected.entries()) {
      const content = await image.read();
      const pixels = content.kind === 'pixels' ? content.pixels : new Uint8Array(0);
      const { embedding } = await pool.embed(pixels);
      const query = { count: 1, dimension: 12, values: embedding } as Parameters<typeof searcher.search>[0];
      expect([...(await searcher.search(query, 1)).rows]).toEqual([row]);
      expect([...(await exact.search(query, 1)).rows]).toEqual([row]);
    }
    await searcher.close();
    await exact.close();
  });

  it('keeps many images on their way, and no more than it may', async () => {
    const pool = createPixelPool();
    await buildIndex(buildOptions({ out, pool, inFlight: 16 }));
    expect(pool.mostAtOnce).toBeGreaterThan(4);
    expect(pool.mostAtOnce).toBeLessThanOrEqual(16);
  });

  it('gives the same hashes for the same data, seed and encoder', async () => {
    const first = await buildIndex(buildOptions({ out }));
    const second = await buildIndex(buildOptions({ out: join(base, 'index', 'again'), inFlight: 5 }));
    expect(second.manifest.files['examples.jsonl']).toEqual(first.manifest.files['examples.jsonl']);
    expect(second.manifest.files['embeddings.f32']).toEqual(first.manifest.files['embeddings.f32']);
  });

  it('takes what it has seen from the cache, and embeds only the new images of a dataset that grew', async () => {
    const data = join(base, 'photos');
    await drawFolder(join(data, 'a'), 12, 1);
    await drawFolder(join(data, 'b'), 12, 2);
    const options = async () => buildOptions({ out, dataset: await openDataset(data, { split: 'train' }) });
    expect(await buildIndex(await options())).toMatchObject({ embedded: 24, fromCache: 0 });
    await drawFolder(join(data, 'c', 'nested'), 5, 3);
    const grown = await options();
    expect(await buildIndex(grown)).toMatchObject({ embedded: 5, fromCache: 24, examples: 29 });
    expect((grown.pool as ReturnType<typeof createPixelPool>).embedded).toBe(5);
    // A second encoder has embeddings of its own.
    const encoder = { ...pixelEncoder, sha256: 'b'.repeat(64) };
    expect(await buildIndex({ ...(await options()), encoder })).toMatchObject({ embedded: 29, fromCache: 0 });
  });

  it('lists what it rejects with the reason, and goes on', async () => {
    const data = join(base, 'mixed');
    await drawFolder(join(data, 'a'), 6, 1);
    await drawFolder(join(data, 'b'), 6, 2);
    await writeFile(join(data, 'a', 'notes.jpg'), 'this is text');
    await writeFile(join(data, 'b', 'empty.png'), '');
    const whole = await readFile(join(data, 'a', '0.png'));
    await writeFile(join(data, 'b', 'cut.png'), whole.subarray(0, whole.length - 20));
    const dataset = await openDataset(data, { split: 'train', maxFileBytes: 2000 });
    await writeFile(join(data, 'b', '5.png'), Buffer.alloc(3000));
    const report = await buildIndex(buildOptions({ out, dataset, maxRejects: 0.3 }));
    expect(report).toMatchObject({ examples: 11, rejected: 4 });
    const lines = (await readFile(join(report.dir, 'rejects.jsonl'), 'utf8')).trim().split('\n');
    const rejects = lines.map((line) => JSON.parse(line) as { id: string; code: string; message: string });
    expect(rejects.map(({ id, code }) => [id, code])).toEqual([
      ['a/notes.jpg', 'image_unsupported'],
      ['b/5.png', 'image_too_large'],
      ['b/cut.png', 'image_damaged'],
      ['b/empty.png', 'image_empty'],
    ]);
    expect(rejects.every(({ message }) => message !== '' && !message.includes(base))).toBe(true);
    const sources = (await openIndex(out)).examples.map(({ source }) => source);
    expect(sources).toHaveLength(11);
    expect(sources).not.toContain('b/cut.png');

    // Strict: the first of them, and the version served stays.
    await expect(buildIndex(buildOptions({ out, dataset, strict: true }))).rejects.toMatchObject({
      code: 'image_unsupported',
      message: expect.stringContaining('a/notes.jpg') as string,
    });
    expect((await openIndex(out)).version).toBe(report.version);
  });

  it('refuses a dataset that is empty, or of which nothing can be decoded', async () => {
    await expect(buildIndex(buildOptions({ out, dataset: datasetOf('none', []) }))).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: expect.stringContaining('the dataset is empty') as string,
    });
    const text = { kind: 'file', bytes: new TextEncoder().encode('text') } as const;
    const image = { id: 'a/1', label: 'a', source: 'a/1', read: () => Promise.resolve(text) };
    const dataset = datasetOf('text', [image, { ...image, id: 'a/2' }]);
    await expect(buildIndex(buildOptions({ out, dataset }))).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: expect.stringContaining('all 2 were rejected, the first: a/1') as string,
    });
    expect(existsSync(join(out, 'current'))).toBe(false);
  });

  it('refuses a dataset that lists an image twice', async () => {
    const images = [...pixelImages({ count: 1 }), ...pixelImages({ count: 1 })];
    await expect(
      buildIndex(buildOptions({ out, dataset: datasetOf('twice', images) })),
    ).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: expect.stringContaining('came twice') as string,
    });
  });

  it('builds an index of one label, or of one image, and warns', async () => {
    const dataset = pixelDataset({ count: 1, labels: ['only'] });
    const report = await buildIndex(buildOptions({ out, dataset }));
    expect(report.warnings.join()).toContain('All examples have one label, only');
    expect((await openIndex(out)).examples).toHaveLength(1);
  });

  it('warns that images like those of the label none will be unknown', async () => {
    const dataset = pixelDataset({ count: 4, labels: ['cat', 'none'] });
    const { warnings } = await buildIndex(buildOptions({ out, dataset }));
    expect(warnings.filter((warning) => !warning.includes('graph'))).toEqual([
      'The label none rejects: images that are taken for its examples, 2, will be answered as unknown',
    ]);
  });

  it.skipIf(!hnswLoads)(
    'does not publish below the recall asked for, and the old version stays',
    async () => {
      const { version } = await buildIndex(buildOptions({ out }));
      const poor = { m: 2, efConstruction: 1, ef: 1, seed: 1 };
      const dataset = pixelDataset({ count: 3000 });
      await expect(buildIndex(buildOptions({ out, dataset, hnsw: poor }))).rejects.toMatchObject({
        code: 'recall_too_low',
        message: expect.stringContaining(
          'Expected index recall@20 of at least 0.99 but measured 0.',
        ) as string,
      });
      expect((await openIndex(out)).version).toBe(version);
      expect((await readdir(out)).sort()).toEqual(['.cache', '.leases', version, 'current']);
      const low = await buildIndex(buildOptions({ out, dataset, hnsw: poor, minRecall: 0.01 }));
      expect(low.recall?.queries).toBe(1000);
      expect(low.fromCache).toBe(3000);
    },
  );

  it.skipIf(!hnswLoads)(
    'publishes for exact search, with a warning, where the graph is poor and no recall was asked for',
    async () => {
      const poor = { m: 2, efConstruction: 1, ef: 1, seed: 1 };
      const dataset = pixelDataset({ count: 3000 });
      const report = await buildIndex(buildOptions({ out, dataset, hnsw: poor, minRecall: undefined }));
      expect(report).toMatchObject({ changed: true, searchKind: 'exact' });
      expect(report.warnings.join()).toContain('at least 0.99 but measured 0.');
      const { manifest, dir } = await openIndex(out);
      expect(manifest).toMatchObject({ recall: null, examples: 3000 });
      expect((await readdir(dir)).sort()).toEqual([
        'embeddings.f32',
        'examples.jsonl',
        'manifest.json',
        'rejects.jsonl',
      ]);
      const searcher = await openSearcher({ dir, mode: 'auto', threads: 1 });
      expect(searcher.kind).toBe('exact');
      await searcher.close();
    },
  );

  it('publishes nothing where more images were rejected than may be, and names the first', async () => {
    const text = { kind: 'file', bytes: new TextEncoder().encode('text') } as const;
    const lost = ['x', 'y'].map((id) => ({ id, label: 'a', source: id, read: () => Promise.resolve(text) }));
    const dataset = datasetOf('lossy', [...pixelImages({ count: 17 }), ...lost]);
    await expect(buildIndex(buildOptions({ out, dataset }))).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: expect.stringMatching(/0.1 of the images .* 2 of 19 were, the first: x: .*; y: /) as string,
    });
    expect(existsSync(join(out, 'current'))).toBe(false);
    expect(await buildIndex(buildOptions({ out, dataset, maxRejects: 2 / 19 }))).toMatchObject({
      examples: 17,
      rejected: 2,
    });
  });

  it('says that nothing changed when it builds what is served, and leaves that as it is', async () => {
    const first = await buildIndex(buildOptions({ out }));
    const again = await buildIndex(buildOptions({ out, keep: 0 }));
    expect([first.changed, again.changed]).toEqual([true, false]);
    expect(again).toMatchObject({ version: first.version, dir: first.dir });
    const other = await buildIndex(
      buildOptions({ out, hnsw: { m: 8, efConstruction: 100, ef: 64, seed: 1 } }),
    );
    expect(other.changed).toBe(true);
  });

  it('builds for exact search where hnswlib-node does not load, and says so', async () => {
    const loadHnsw = (): Promise<undefined> => Promise.resolve(undefined);
    const report = await buildIndex(buildOptions({ out, loadHnsw }));
    expect(report).toMatchObject({ searchKind: 'exact', recall: null });
    expect(report.warnings.join()).toContain('hnswlib-node');
    const { manifest, dir } = await openIndex(out);
    expect(manifest.files['vectors.hnsw']).toBeUndefined();
    const searcher = await openSearcher({ dir, mode: 'auto', threads: 1 });
    expect(searcher.kind).toBe('exact');
    await searcher.close();
  });

  it('measures leave-one-out accuracy, and counts the images the encoder was trained on', async () => {
    // Two far corners of colour space and one image that lies about which it is in.
    const corner = (id: string, label: string, value: number): LabelledImage => ({
      id,
      label,
      source: id,
      read: () => {
        const pixels = new Uint8Array(12).fill(value);
        pixels[0] = Number(id);
        return Promise.resolve({ kind: 'pixels', pixels, width: 2, height: 2 });
      },
    });
    const images = Array.from({ length: 60 }, (_, i) =>
      corner(`${i}`, i % 2 ? 'light' : 'dark', i % 2 ? 250 : 5),
    );
    images.push(corner('60', 'light', 5));
    const dataset = datasetOf('drawn (train)', images);
    const wasTrainedOn =
      ({ name }: { readonly name: string }) =>
      (content: ImageContent): boolean =>
        name === 'drawn (train)' && content.kind === 'pixels' && (content.pixels[1] ?? 0) < 128;
    const report = await buildIndex(buildOptions({ out, dataset, wasTrainedOn }));
    const { leaveOneOut } = report;
    // 30 dark ones, and the one that lies.
    expect([report.trainedOn, report.manifest.trainedOn]).toEqual([31, 31]);
    expect(leaveOneOut).toMatchObject({
      k: 20,
      queries: 61,
      accuracy: 60 / 61,
      perClass: [
        { label: 'dark', count: 30, correct: 30 },
        { label: 'light', count: 31, correct: 30 },
      ],
      confusions: [{ truth: 'light', predicted: 'dark', count: 1 }],
    });
    const other = await buildIndex(buildOptions({ out, dataset: datasetOf('other', images), wasTrainedOn }));
    expect(other).toMatchObject({ trainedOn: 0, changed: false });
  });

  it('hands on what the encoder throws, publishes nothing, and goes on from there next time', async () => {
    const fine = createPixelPool();
    const dying = {
      ...fine,
      embed: (pixels: Uint8Array) =>
        fine.embedded >= 40 ? Promise.reject(new Error('the worker died')) : fine.embed(pixels),
    };
    await expect(buildIndex(buildOptions({ out, pool: dying }))).rejects.toThrow('the worker died');
    expect(await readdir(out)).toEqual(['.cache', '.leases']);
    expect(await buildIndex(buildOptions({ out }))).toMatchObject({ embedded: 20, fromCache: 40 });
  });

  it('refuses a second build of the same index while one is going on', async () => {
    const both = await Promise.allSettled([
      buildIndex(buildOptions({ out })),
      buildIndex(buildOptions({ out })),
    ]);
    const refused = both.filter((one) => one.status === 'rejected');
    expect(refused.map(({ reason }) => (reason as { code: string }).code)).toEqual(['output_unwritable']);
    expect((await openIndex(out)).examples).toHaveLength(60);
  });

  it('says that it cannot write where a file is in its place', async () => {
    await mkdir(join(base, 'index'), { recursive: true });
    await writeFile(out, 'a file');
    await expect(buildIndex(buildOptions({ out }))).rejects.toMatchObject({ code: 'output_unwritable' });
    expect(await readFile(out, 'utf8')).toBe('a file');
    const cacheIsFile = join(base, 'index', 'cache-is-file');
    await mkdir(cacheIsFile);
    await writeFile(join(cacheIsFile, '.cache'), 'a file');
    await expect(buildIndex(buildOptions({ out: cacheIsFile }))).rejects.toMatchObject({
      code: 'output_unwritable',
    });
  });
});
