import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildIndex } from '../../src/build/build-index.js';
import { compactIndex } from '../../src/build/compact.js';
import { syncIndex, type SyncIndexOptions } from '../../src/build/sync-index.js';
import type { SyncReport } from '../../src/build/sync-report.js';
import { changeIndex } from '../../src/curate/change-index.js';
import { verifyIndex } from '../../src/curate/verify-index.js';
import { asEmbeddings } from '../../src/domain/embeddings.js';
import { contentDigest } from '../../src/embed/image-key.js';
import { readPublished } from '../../src/examples/index-store.js';
import { lockWriter } from '../../src/examples/writer.js';
import type { LabelledImage } from '../../src/image/dataset/dataset.js';
import { NearvoteError } from '../../src/domain/errors.js';
import { createDecoder } from '../../src/image/decode.js';
import type { ChangeRequest, Changed } from '../../src/neighbours/changes.js';
import { openEmbeddedIndex, type EmbeddedIndex } from '../../src/neighbours/embedded-index.js';
import { buildOptions } from './build-options.js';
import { createPixelPool, datasetOf, pixelEncoder, pixelImages } from './pixel-encoder.js';

const now = (): Date => new Date('2026-03-01T00:00:00.000Z');
const progress = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const nobody = { reason: null, who: null };

let base = '';
let root = '';
let made = 0;
let pool = createPixelPool();
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-sync-'));
});
afterAll(() => rm(base, { recursive: true }));
beforeEach(() => {
  root = join(base, `pets-${made++}`);
  pool = createPixelPool();
});

const labels = ['cat', 'dog', 'owl'];
const images = pixelImages({ count: 60, labels });
/** Others than those. */
const others = pixelImages({ count: 12, labels: ['dog', 'eel'], seed: 9 }).map((image) => ({
  ...image,
  id: `new/${image.id}`,
  source: `new/${image.id}`,
}));
const labelled = (image: LabelledImage | undefined, label: string, id = `moved/${label}`): LabelledImage => {
  if (image === undefined) throw new Error('Expected an image');
  return { ...image, label, id, source: id };
};
const undecodable = (id: string): LabelledImage => ({
  ...{ id, label: 'cat', source: id },
  read: () => Promise.resolve({ kind: 'file', bytes: new TextEncoder().encode(id) }),
});

function build(of: readonly LabelledImage[], out = root): Promise<unknown> {
  return buildIndex(buildOptions({ out, dataset: datasetOf('pets', of), maxRejects: 1 }));
}

function sync(of: readonly LabelledImage[], options: Partial<SyncIndexOptions> = {}): Promise<SyncReport> {
  return syncIndex({
    ...{ root, dataset: datasetOf('pets', of), encoder: pixelEncoder, progress, now, ...nobody },
    decoder: createDecoder({ geometry: pixelEncoder.input.geometry }),
    withPool: (work) => work({ pool, inFlight: 8 }),
    ...{ dryRun: false, keepTaught: false, allowDeleteAll: false, strict: false, keep: 2, threads: 1 },
    ...options,
  });
}

async function within<T>(work: (index: EmbeddedIndex) => Promise<T> | T, of = root): Promise<T> {
  const opened = { search: 'exact', threads: 1, access: 'read', now } as const;
  const index = await openEmbeddedIndex({ ...(await readPublished(of)), ...opened });
  try {
    return await work(index);
  } finally {
    await index.close();
  }
}

const change = (request: ChangeRequest): Promise<Changed> => changeIndex({ root, now, request });

/** What each of some pictures that nobody has shown is answered: label and similarity of its nearest. */
const answersOf = (of = root): Promise<unknown> =>
  within(async (index) => {
    const asked = await Promise.all(pixelImages({ count: 40, labels, seed: 77 }).map(embeddingOf));
    const values = Float32Array.from(asked.flatMap((embedding) => [...embedding]));
    const { rows, similarities } = await index.search(asEmbeddings(values, 12), 20);
    return Array.from(rows, (row, i) => [index.exampleAt(row).label, similarities[i]]);
  }, of);

async function embeddingOf(image: LabelledImage): Promise<Float32Array> {
  const content = await image.read();
  if (content.kind !== 'pixels') throw new Error('Expected pixels');
  return (await createPixelPool().embed(content.pixels)).embedding;
}

async function teach(image: LabelledImage | undefined, label: string, id?: string): Promise<Changed> {
  if (image === undefined) throw new Error('Expected an image');
  const digest = contentDigest(await image.read()).toString('hex');
  const example = { id, digest, label, source: 'upload', embedding: await embeddingOf(image) };
  return change({ kind: 'add', examples: [example], ...nobody });
}

const held = (): Promise<string[]> =>
  within((index) =>
    [...index.positions()].map((at) => index.exampleAt(at)).map(({ id, label }) => `${id} ${label}`),
  );

/** All that lies in the folder of the index, but the cache. */
async function files(): Promise<string[]> {
  const all = await readdir(root, { recursive: true });
  return all.filter((name) => !name.startsWith('.cache')).sort();
}

describe('an index that is made equal to a dataset', () => {
  /** Two images less, two in another label, one in another folder, twelve more. */
  const grown = [
    ...images.slice(2, 58),
    labelled(images[58], 'cat'),
    labelled(images[59], 'eel'),
    ...others,
  ].map((image, i) => (i === 7 ? { ...image, id: 'elsewhere', source: 'elsewhere' } : image));

  it('answers exactly as one that is built of it, before and after its changes are folded in', async () => {
    await build(images);
    expect(await sync(grown)).toMatchObject({
      ...{ added: 12, relabelled: 2, deleted: 2, embedded: 12, fromCache: 0, fromIndex: 0, rejects: [] },
      labels: [
        { label: 'cat', before: 20, added: 0, deleted: 1, taught: 0, gained: 1, lost: 0, after: 20 },
        { label: 'dog', before: 20, added: 6, deleted: 1, taught: 0, gained: 0, lost: 1, after: 24 },
        { label: 'eel', before: 0, added: 6, deleted: 0, taught: 0, gained: 1, lost: 0, after: 7 },
        { label: 'owl', before: 20, added: 0, deleted: 0, taught: 0, gained: 0, lost: 1, after: 19 },
      ],
      ...{ sequence: 16, operation: 1 },
    });
    const rebuilt = join(base, `rebuilt-${made}`);
    await build(grown, rebuilt);
    const expected = await answersOf(rebuilt);
    expect(await answersOf()).toEqual(expected);
    await compactIndex({ root, keep: 2, threads: 1, progress, now });
    expect(await answersOf()).toEqual(expected);
    expect((await readPublished(root)).manifest.labels).toHaveLength(4);
    expect(await verifyIndex({ root })).toMatchObject({ defects: [] });
  });

  it('embeds what it does not hold and nothing else, and the second time changes nothing', async () => {
    await build(images);
    await sync(grown);
    expect(pool.embedded).toBe(12);
    const before = await held();
    expect(await sync(grown)).toMatchObject({
      ...{ added: 0, relabelled: 0, deleted: 0, embedded: 0, sequence: 16, operation: null },
      plan: { unchanged: 70, adding: 0, relabelling: 0, deleting: 0, taught: [] },
    });
    expect(pool.embedded).toBe(12);
    // Nor after they are in the version.
    await compactIndex({ root, keep: 2, threads: 1, progress, now });
    expect(await sync(grown)).toMatchObject({ operation: null, plan: { unchanged: 70 } });
    expect(await held()).toEqual(before);
  });

  it('goes back by one change to what it was, and forth again', async () => {
    await build(images);
    const before = await held();
    const { operation } = await sync(grown, { reason: 'a new shipment', who: 'Ada' });
    const after = await held();
    await change({ kind: 'revert', sequence: operation ?? 0, ...nobody });
    expect((await held()).sort()).toEqual(before.sort());
    const again = await sync(grown);
    expect(again).toMatchObject({ added: 12, embedded: 0, fromCache: 12 });
    expect((await held()).sort()).toEqual(after.sort());
    await within((index) => {
      const log = index.log({ limit: 99 });
      expect(log.filter((one) => one.operation === operation && one.who === 'Ada')).toHaveLength(16);
      expect(log.filter((one) => one.operation === again.operation)).toHaveLength(16);
    });
  });

  it('is told all of it by a dry run, which leaves every file as it was and embeds nothing', async () => {
    await build(images);
    await teach(others[0], 'cat');
    const before = await files();
    const journal = await readFile(join(root, 'live.db'));
    const plans: unknown[] = [];
    const broken = [...grown, undecodable('cat/broken.jpg')];
    const dry = await sync(broken, { dryRun: true, onPlan: (plan) => plans.push(plan) });
    expect(await files()).toEqual(before);
    expect(await readFile(join(root, 'live.db'))).toEqual(journal);
    expect(pool.embedded).toBe(0);
    const real = await sync(broken, { onPlan: (plan) => plans.push(plan) });
    expect(plans[1]).toEqual(plans[0]);
    const { plan, labels: byLabel, added, relabelled, deleted, rejects } = real;
    expect(dry).toMatchObject({
      plan,
      labels: byLabel,
      added,
      relabelled,
      deleted,
      rejects,
      operation: null,
    });
    expect(rejects).toMatchObject([{ id: 'cat/broken.jpg', code: 'image_unsupported' }]);
  });

  it('needs no index for a dry run, and no right to change it', async () => {
    const first = await sync(images, { dryRun: true });
    expect(first).toMatchObject({ added: 60, operation: null, plan: { examples: 0, adding: 60 } });
    expect(existsSync(root)).toBe(false);
    await build(images);
    const lock = await lockWriter(root);
    expect(await sync(grown, { dryRun: true })).toMatchObject({ added: 12 });
    await expect(sync(grown)).rejects.toMatchObject({
      code: 'index_readonly',
      message: expect.stringContaining(`process ${process.pid}`) as string,
    });
    expect(pool.embedded).toBe(0);
    await lock.release();
  });

  it('deletes what it was taught and the dataset lacks, apart and said before, or leaves it', async () => {
    await build(images);
    await teach(others[0], 'owl', 'mine');
    await teach(others[1], 'wolf');
    // Of an image that the dataset has: it is no other example, whatever it is called.
    await teach(others[2], 'dog', 'shared');
    const wanted = [...images, labelled(others[2], 'dog', 'dog/shared')];
    const kept = await sync(wanted, { keepTaught: true });
    expect(kept).toMatchObject({ deleted: 0, operation: null, plan: { deleting: 0, unchanged: 61 } });
    expect(kept.plan.taught.map(({ label }) => label)).toEqual(['owl', 'wolf']);
    const plans: SyncReport['plan'][] = [];
    const { labels: byLabel, deleted } = await sync(wanted, { onPlan: (plan) => plans.push(plan) });
    expect(plans[0]?.taught).toMatchObject([{ id: 'mine', label: 'owl' }, { label: 'wolf' }]);
    expect(deleted).toBe(2);
    expect(byLabel.find(({ label }) => label === 'wolf')).toMatchObject({ deleted: 1, taught: 1, after: 0 });
    expect(await held()).toContain('shared dog');
  });

  it('deletes what a sync added once the dataset has it no more, also where what was taught is kept', async () => {
    await build(images);
    await sync([...images, ...others]);
    expect(await sync(images, { keepTaught: true })).toMatchObject({ deleted: 12, plan: { taught: [] } });
  });

  it('knows an image again whose example was given another label, and gives it that of the dataset', async () => {
    await build(images);
    const before = await held();
    const id = before[4]?.split(' ')[0] ?? '';
    await change({ kind: 'edit', acts: [{ kind: 'relabel', id, label: 'wolf' }], ...nobody });
    const taught = await teach(others[0], 'wolf', 'mine');
    expect(taught.operation).not.toBeNull();
    await compactIndex({ root, keep: 2, threads: 1, progress, now });
    const report = await sync([...images, labelled(others[0], 'dog')]);
    expect(report).toMatchObject({ added: 0, deleted: 0, relabelled: 2, plan: { relabellingChanged: 1 } });
    expect(await held()).toEqual([...before, 'mine dog']);
  });

  it('has again what a change deleted, and says so', async () => {
    await build(images);
    const before = await held();
    const id = before[4]?.split(' ')[0] ?? '';
    await change({ kind: 'edit', acts: [{ kind: 'delete', id }], ...nobody });
    expect(await sync(images)).toMatchObject({ added: 1, plan: { adding: 1, addingDeleted: 1 } });
    expect((await held()).sort()).toEqual(before.sort());
  });

  it('holds an image as often as the dataset does, by one label and by several', async () => {
    const twice = [
      ...images,
      labelled(images[0], 'cat', 'cat/again'),
      labelled(images[1], 'eel', 'eel/too'),
      labelled(others[0], 'cat', 'a'),
      labelled(others[0], 'cat', 'b'),
      labelled(others[0], 'dog', 'c'),
    ];
    await build(images);
    expect(await sync(twice)).toMatchObject({ added: 5, relabelled: 0, deleted: 0, fromIndex: 2 });
    const rebuilt = join(base, `rebuilt-${made}`);
    await build(twice, rebuilt);
    expect((await held()).sort()).toEqual(
      await within((index) => [...index.positions()].map((at) => index.exampleAt(at)), rebuilt).then((all) =>
        all.map(({ id, label }) => `${id} ${label}`).sort(),
      ),
    );
    expect(await sync(twice)).toMatchObject({ operation: null });
    // One of three goes, whichever, and of the two labels the right one.
    expect(await sync(twice.filter(({ id }) => id !== 'a' && id !== 'eel/too'))).toMatchObject({
      ...{ added: 0, relabelled: 0, deleted: 2 },
      labels: expect.arrayContaining([
        expect.objectContaining({ label: 'cat', deleted: 1 }),
        expect.objectContaining({ label: 'eel', deleted: 1, after: 0 }),
      ]) as unknown,
    });
    expect(await sync(twice.filter(({ id }) => !['a', 'b', 'eel/too'].includes(id)))).toMatchObject({
      ...{ added: 0, relabelled: 0, deleted: 1 },
    });
  });

  it('is left as it was by images of which it has none, unless that is asked for', async () => {
    await build(images);
    await expect(sync(others)).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: expect.stringContaining('--allow-delete-all') as string,
    });
    await expect(sync([])).rejects.toMatchObject({ code: 'dataset_invalid' });
    expect(await sync(others, { allowDeleteAll: true })).toMatchObject({ added: 12, deleted: 60 });
  });

  it('leaves out what cannot be decoded, and is left as it was where that is too much or was not to be', async () => {
    await build(images);
    const broken = [...grown, undecodable('a'), undecodable('b')];
    await expect(sync(broken, { maxRejects: 0.02 })).rejects.toMatchObject({ code: 'dataset_invalid' });
    await expect(sync(broken, { strict: true })).rejects.toMatchObject({
      code: 'image_unsupported',
      message: expect.stringContaining('a: ') as string,
    });
    expect(existsSync(join(root, 'live.db'))).toBe(false);
    const { rejects, added } = await sync(broken);
    expect([rejects.length, added]).toEqual([2, 12]);
  });

  it('keeps the example of an image that cannot be read: that is not gone', async () => {
    await build(images);
    const before = await held();
    const unreadable = (image: LabelledImage): LabelledImage => ({
      ...image,
      read: () => Promise.reject(new NearvoteError('image_missing', 'Expected an image but: EIO')),
    });
    const failing = images.slice(1).map((image, i) => (i < 2 ? unreadable(image) : image));
    const { plan, deleted, rejects } = await sync(failing);
    expect([deleted, rejects.length]).toEqual([1, 2]);
    expect(plan).toMatchObject({ deleting: 1, unread: [{ label: 'dog' }, { label: 'owl' }] });
    expect(await held()).toEqual(before.slice(1));
    expect((await sync(images.slice(1))).operation).toBeNull();
  });

  it('takes no embeddings of another encoder, and no label that could not be told from another', async () => {
    await build(images);
    const encoder = { ...pixelEncoder, sha256: 'b'.repeat(64) };
    await expect(sync(grown, { encoder })).rejects.toMatchObject({ code: 'encoder_mismatch' });
    await expect(sync([...images, labelled(others[0], 'a\u202eb')])).rejects.toMatchObject({
      code: 'label_invalid',
    });
    expect(pool.embedded).toBe(0);
    expect(await held()).toHaveLength(60);
  });

  it('is folded into a new version once so much has changed', async () => {
    const many = pixelImages({ count: 1_100, labels, seed: 5 });
    await build(images);
    const { compacted, sequence } = await sync([
      ...images,
      ...many.map((image) => labelled(image, image.label, `m${image.id}`)),
    ]);
    expect(compacted).toMatchObject({ changed: true, examples: 1_160, sequence });
    expect((await readPublished(root)).manifest).toMatchObject({ examples: 1_160, sequence: 1_100 });
  });
});
