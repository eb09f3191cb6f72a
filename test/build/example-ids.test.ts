import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildIndex } from '../../src/build/build-index.js';
import { openDataset } from '../../src/image/dataset/open-dataset.js';
import { openIndex, type OpenIndex } from '../../src/examples/index-store.js';
import { openIndexOwner } from '../../src/neighbours/index-owner.js';
import { buildOptions } from './build-options.js';
import { createPixelPool, pixelEncoder } from './pixel-encoder.js';

/** A 2 x 2 picture of one shade and three steps from it. */
function draw(shade: number): Promise<Buffer> {
  const raw = Buffer.from(Array.from({ length: 12 }, (_, i) => (shade + 40 * i) % 256));
  return sharp(raw, { raw: { width: 2, height: 2, channels: 3 } })
    .png()
    .toBuffer();
}

describe('the ids of examples', () => {
  let base = '';
  let photos = '';
  let made = 0;
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-ids-'));
  });
  afterAll(() => rm(base, { recursive: true }));
  beforeEach(async () => {
    photos = join(base, `${made++}`, 'photos');
    await mkdir(join(photos, 'ward-7'), { recursive: true });
    await mkdir(join(photos, 'clinic'));
    await writeFile(join(photos, 'ward-7', 'jane-doe.png'), await draw(10));
    await writeFile(join(photos, 'ward-7', 'jane-again.png'), await draw(10));
    await writeFile(join(photos, 'clinic', 'john.png'), await draw(10));
    await writeFile(join(photos, 'clinic', 'jim.png'), await draw(90));
  });

  async function build(encoder = pixelEncoder): Promise<OpenIndex> {
    const out = join(photos, '..', 'index');
    const dataset = await openDataset(photos, { split: 'train' });
    await buildIndex(
      buildOptions({ out, dataset, encoder, hnsw: { m: 4, efConstruction: 20, ef: 20, seed: 1 } }),
    );
    return openIndex(out);
  }

  const idsBySource = ({ examples }: OpenIndex): Record<string, string> =>
    Object.fromEntries(examples.map(({ id, source }) => [source, id]));

  it('hold no piece of a path, and whoever asks the index gets no other', async () => {
    const index = await build();
    const owner = await openIndexOwner({ ...index, search: 'exact', threads: 1 });
    try {
      const { embedding } = await createPixelPool().embed(
        await sharp(await draw(10))
          .raw()
          .toBuffer(),
      );
      const { examples } = await owner.search(embedding, { k: 4, shown: 4 });
      expect(examples.map(({ source }) => source).sort()).toEqual(Object.keys(idsBySource(index)).sort());
      for (const { id } of examples) expect(id).toMatch(/^[0-9a-f]{20}$/);
      expect(new Set(examples.map(({ id }) => id)).size).toBe(4);
    } finally {
      await owner.close();
    }
  });

  it('stay when the index is built again, for another encoder too', async () => {
    const before = idsBySource(await build());
    expect(idsBySource(await build())).toEqual(before);
    expect(idsBySource(await build({ ...pixelEncoder, sha256: 'b'.repeat(64) }))).toEqual(before);
  });

  it('stay when another folder is added', async () => {
    const before = idsBySource(await build());
    await mkdir(join(photos, 'a-new-one'));
    await writeFile(join(photos, 'a-new-one', 'jane.png'), await draw(10));
    const after = idsBySource(await build());
    expect(after).toMatchObject(before);
    expect(Object.values(before)).not.toContain(after['a-new-one/jane.png']);
  });

  it('stay when a file is renamed', async () => {
    const before = idsBySource(await build());
    await rename(join(photos, 'clinic', 'john.png'), join(photos, 'clinic', 'a-patient.png'));
    const { 'clinic/john.png': id, ...others } = before;
    expect(idsBySource(await build())).toEqual({ ...others, 'clinic/a-patient.png': id });
  });
});
