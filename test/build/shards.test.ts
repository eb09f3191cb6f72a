import { appendFile, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildIndex } from '../../src/build/build-index.js';
import type { BuildReport } from '../../src/build/build-report.js';
import { mergeShards } from '../../src/build/merge-shards.js';
import { embedShard, type EmbedShardOptions, type ShardReport } from '../../src/build/shard.js';
import { NearvoteError } from '../../src/domain/errors.js';
import type { Dataset, LabelledImage } from '../../src/image/dataset/dataset.js';
import { buildOptions } from './build-options.js';
import { createPixelPool, datasetOf, pixelEncoder, pixelImages } from './pixel-encoder.js';

const shards = 8;

let base = '';
let dir = '';
let made = 0;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-shards-'));
});
afterAll(() => rm(base, { recursive: true }));
beforeEach(() => {
  dir = join(base, `${made++}`, 'parts');
});

const damaged: LabelledImage = {
  ...{ id: 'dark/broken', label: 'dark', source: 'dark/broken' },
  read: () => Promise.reject(new NearvoteError('image_damaged', 'It is cut short')),
};
const images = pixelImages({ count: 100 });
// The same picture twice, which has two ids, and one that cannot be decoded.
const whole = [...images.slice(0, 40), damaged, ...images.slice(40), ...twinsOf(images[0])];
const dataset = datasetOf('drawn', whole);

function twinsOf(image: LabelledImage | undefined): LabelledImage[] {
  return image === undefined ? [] : [{ ...image, id: `${image.label}/twin`, source: 'twin' }];
}

interface Embedding {
  readonly of?: Dataset;
  readonly options?: Partial<EmbedShardOptions>;
}

async function embed(
  shard: number,
  { of = dataset, options = {} }: Embedding = {},
): Promise<ShardReport & { readonly embedded: number }> {
  const { decoder, progress } = buildOptions({ out: dir });
  const pool = createPixelPool();
  const report = await embedShard({
    ...{ dataset: of, encoder: pixelEncoder, decoder, shard, shards, dir, progress },
    withPool: (work) => work({ pool, inFlight: 16, trainedOn: undefined }),
    ...options,
  });
  return { ...report, embedded: pool.embedded };
}

async function embedAll(): Promise<void> {
  // Backwards: the order in which parts are made does not matter.
  for (let shard = shards - 1; shard >= 0; shard--) await embed(shard);
}

const now = (): Date => new Date('2026-05-01T00:00:00.000Z');
const merge = (out: string, of = dataset, encoder = pixelEncoder): Promise<BuildReport> =>
  mergeShards({ ...buildOptions({ out, dataset: of, now }), encoder, shards, shardDir: dir });

async function filesOf({ dir: version }: BuildReport): Promise<Record<string, string>> {
  const names = (await readdir(version)).sort();
  const contents = await Promise.all(names.map((name) => readFile(join(version, name), 'hex')));
  return Object.fromEntries(names.map((name, i) => [name, contents[i] ?? '']));
}

describe('an index that is built in parts', () => {
  it('is, byte for byte, the one that is built at once', async () => {
    await embedAll();
    const merged = await merge(join(base, 'merged', 'drawn'));
    const built = await buildIndex(buildOptions({ out: join(base, 'built', 'drawn'), dataset, now }));
    expect(merged).toMatchObject({ examples: 101, rejected: 1, embedded: 0, fromCache: 101 });
    expect(await filesOf(merged)).toEqual(await filesOf(built));
    expect((await merge(join(base, 'merged', 'drawn'))).changed).toBe(false);
  });

  it('embeds a part once, and again where an image of it has changed', async () => {
    expect(await embed(3)).toMatchObject({ skipped: false, embedded: 12 });
    expect(await embed(3)).toMatchObject({ skipped: true, embedded: 0 });
    const { done } = await embed(3);
    expect(done).toMatchObject({ images: 12, rejected: 1 });
    const other = pixelImages({ count: 100, seed: 9 });
    const changed = whole.map((image, i) =>
      i === 45 ? { ...image, read: () => other[45]?.read() ?? image.read() } : image,
    );
    const again = await embed(3, { of: datasetOf('drawn', changed) });
    expect(again.skipped).toBe(false);
    expect(again.done.files).not.toEqual(done.files);
  });

  it('embeds a part anew that was damaged, or is of another encoder', async () => {
    const { folder } = await embed(0);
    await appendFile(join(folder, 'images.jsonl'), 'x');
    expect((await embed(0)).skipped).toBe(false);
    await writeFile(join(folder, 'done.json'), '{"schemaVersion": 1');
    expect((await embed(0)).skipped).toBe(false);
    const encoder = { ...pixelEncoder, sha256: 'f'.repeat(64) };
    expect((await embed(0, { options: { encoder } })).skipped).toBe(false);
  });

  it('loses nothing that was embedded before a part failed, and leaves no record of a part that is not whole', async () => {
    const failing = createPixelPool();
    let left = 9;
    const pool = {
      embed: (pixels: Uint8Array) =>
        left-- > 0 ? failing.embed(pixels) : Promise.reject(new NearvoteError('worker_failed', 'It is gone')),
    };
    const withPool: EmbedShardOptions['withPool'] = (work) =>
      work({ pool, inFlight: 1, trainedOn: undefined });
    await expect(embed(2, { options: { withPool } })).rejects.toMatchObject({ code: 'worker_failed' });
    await expect(merge(join(base, 'none', 'drawn'))).rejects.toMatchObject({ code: 'dataset_invalid' });
    expect(await embed(2)).toMatchObject({ skipped: false, embedded: 4 });
  });

  it('has parts of one process each', async () => {
    const { decoder, progress } = buildOptions({ out: dir });
    let second: unknown;
    await embedShard({
      ...{ dataset, encoder: pixelEncoder, decoder, shard: 1, shards, dir, progress },
      withPool: async (work) => {
        second = await embed(1).catch((error: unknown) => error);
        return work({ pool: createPixelPool(), inFlight: 4, trainedOn: undefined });
      },
    });
    expect(second).toMatchObject({
      code: 'output_unwritable',
      message: expect.stringContaining('1-of-8') as string,
    });
  });
});

describe('a merge', () => {
  const out = (): string => join(base, `out-${made}`, 'drawn');
  const refused = (message: string): object => ({
    code: 'dataset_invalid',
    message: expect.stringContaining(message) as string,
  });

  it('names the parts that are not done', async () => {
    for (const shard of [0, 1, 2, 4, 5]) await embed(shard);
    await expect(merge(out())).rejects.toMatchObject(
      refused('3 parts are missing: 3, 6, 7; --shard I in place of --merge makes each'),
    );
  });

  it('refuses parts of other images, of another encoder, and of another part', async () => {
    await embedAll();
    const fewer = datasetOf('drawn', whole.slice(1));
    await expect(merge(out(), fewer)).rejects.toMatchObject(refused('is of other images'));
    const relabelled = datasetOf(
      'drawn',
      whole.map((image, i) => (i === 6 ? { ...image, label: 'light' } : image)),
    );
    await expect(merge(out(), relabelled)).rejects.toMatchObject(refused('is of other images'));
    const encoder = { ...pixelEncoder, sha256: 'f'.repeat(64) };
    await expect(merge(out(), dataset, encoder)).rejects.toMatchObject(refused('another encoder'));
    const from = join(dir, '2-of-8');
    await rm(join(dir, '5-of-8'), { recursive: true });
    await embed(5);
    await writeFile(join(dir, '5-of-8', 'done.json'), await readFile(join(from, 'done.json')));
    await expect(merge(out())).rejects.toMatchObject(refused('5-of-8'));
  });

  it.each(['images.jsonl', 'embeddings.f32', 'done.json'])(
    'refuses a part with a flipped bit in its %s, and publishes nothing',
    async (file) => {
      await embedAll();
      const path = join(dir, '6-of-8', file);
      const bytes = await readFile(path);
      for (const at of [0, bytes.length >> 1, bytes.length - 2]) {
        const flipped = Buffer.from(bytes);
        flipped[at] = (flipped[at] ?? 0) ^ 2;
        await writeFile(path, flipped);
        const target = out();
        await expect(merge(target)).rejects.toMatchObject(refused('6-of-8'));
        expect(await readdir(target).catch(() => [])).not.toContain('current');
      }
    },
  );

  it('publishes one of two that run at once, and refuses the other', async () => {
    await embedAll();
    const target = out();
    const results = await Promise.allSettled([merge(target), merge(target)]);
    const [fulfilled, rejected] = ['fulfilled', 'rejected'].map((status) =>
      results.filter((one) => one.status === status),
    );
    expect([fulfilled?.length, rejected?.length]).toEqual([1, 1]);
    expect((rejected?.[0] as PromiseRejectedResult).reason).toMatchObject({ code: 'output_unwritable' });
  });
});
