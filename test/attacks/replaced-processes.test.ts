import { createHash } from 'node:crypto';
import { cp, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readEncoderManifest } from '../../src/encoder/load.js';
import { createEncoderPool } from '../../src/encoder/pool/pool.js';
import { readPublished } from '../../src/examples/index-store.js';
import { createHnswBuilder, loadHnswModule } from '../../src/neighbours/hnsw.js';
import { openIndexOwner } from '../../src/neighbours/index-owner.js';
import type { Neighbours } from '../../src/neighbours/neighbours.js';
import { writeDrawnEncoder } from '../cli/drawn-encoder.js';
import { editManifest, publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';
import { childrenRunning } from '../processes/children-running.js';

/** Kills this process's child that runs such a file, as a fault in native code would. */
function kill(file: string): void {
  const [pid] = childrenRunning(file);
  if (pid === undefined) throw new Error(`Expected a child that runs ${file}`);
  process.kill(pid, 'SIGKILL');
}

const hnswLoads = (await loadHnswModule()) !== undefined;

let base = '';
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-replaced-'));
});
afterEach(() => rm(base, { recursive: true }));

// Children are found in /proc.
describe.skipIf(process.platform !== 'linux')('what was changed under a serving pair', () => {
  it('is no encoder that a replaced worker serves', async () => {
    const dir = join(base, 'encoder');
    await writeDrawnEncoder({
      dir,
      name: 'one',
      weights: [
        [1, 0],
        [0, 1],
        [0, 0],
      ],
    });
    const manifest = await readEncoderManifest(dir);
    const reasons: string[] = [];
    const pool = await createEncoderPool({
      ...{ encoderDir: dir, manifest, workers: 1, threads: 1, maxBatch: 4, maxQueue: 10 },
      onRestart: (reason) => reasons.push(reason),
    });
    const red = Uint8Array.from({ length: 8 * 8 * 3 }, (_, i) => (i % 3 === 0 ? 255 : 0));
    const before = [...(await pool.embed(red)).embedding];
    // Another encoder whose manifest is right about its own model: red and green the other way round.
    await writeDrawnEncoder({
      dir,
      name: 'one',
      weights: [
        [0, 1],
        [1, 0],
        [0, 0],
      ],
    });
    expect((await readEncoderManifest(dir)).sha256).not.toBe(manifest.sha256);
    kill('encoder/pool/worker');
    await expect.poll(() => reasons.length, { timeout: 20_000 }).toBeGreaterThan(1);
    expect(reasons[1]).toContain(`to have the sha256 of encoder.json, ${manifest.sha256}`);
    expect(pool.ready).toBe(false);
    await expect(pool.embed(red)).rejects.toMatchObject({ code: 'not_ready' });
    // What was there before comes back by itself.
    await writeDrawnEncoder({
      dir,
      name: 'one',
      weights: [
        [1, 0],
        [0, 1],
        [0, 0],
      ],
    });
    await expect.poll(() => pool.ready, { timeout: 20_000 }).toBe(true);
    expect([...(await pool.embed(red)).embedding]).toEqual(before);
    await pool.close();
  });

  /** What would give the two examples each other's label, in a file that is whole. */
  async function swapped(file: string, dir: string): Promise<Uint8Array> {
    const content = await readFile(join(dir, file)).catch(() => Buffer.alloc(0));
    if (file === 'examples.jsonl') {
      const other = { a: 'b', b: 'a' } as const;
      return Buffer.from(
        content.toString().replace(/"label":"([ab])"/g, (_, label: 'a' | 'b') => `"label":"${other[label]}"`),
      );
    }
    if (file === 'embeddings.f32') return Buffer.concat([content.subarray(8), content.subarray(0, 8)]);
    const module = await loadHnswModule();
    if (module === undefined) throw new Error('Expected hnswlib-node');
    const builder = createHnswBuilder({
      module,
      dimension: 2,
      maxElements: 2,
      m: 16,
      efConstruction: 100,
      seed: 1,
    });
    const { values } = onCircle([90, 0]);
    for (const at of [0, 2]) builder.add(values.subarray(at, at + 2));
    await builder.write(join(base, 'swapped'));
    return readFile(join(base, 'swapped'));
  }

  const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
  const publish = (): Promise<string> =>
    publishSmallIndex({
      root: join(base, 'index'),
      embeddings: onCircle([0, 90]),
      examples: ['a', 'b'].map((label) => ({ id: label, label, source: label })),
    });

  async function labelOf80(neighbours: Neighbours): Promise<string | undefined> {
    return (await neighbours.search(onCircle([80]).values, { k: 1, shown: 1 })).labels[0];
  }

  it.each(['examples.jsonl', 'embeddings.f32', ...(hnswLoads ? ['vectors.hnsw'] : [])])(
    'is no index that a replaced owner serves: %s',
    async (file) => {
      const dir = await publish();
      const published = await readPublished(join(base, 'index'));
      const reasons: string[] = [];
      const search = file === 'vectors.hnsw' ? 'auto' : 'exact';
      const onRestart = (reason: string): number => reasons.push(reason);
      const neighbours = await openIndexOwner({ ...published, search, threads: 1, onRestart });
      expect(await labelOf80(neighbours)).toBe('b');
      await cp(join(dir, file), join(base, 'kept'));
      const changed = await swapped(file, dir);
      await writeFile(join(dir, file), changed);
      await editManifest(dir, ({ files }) => {
        Object.assign(files as object, { [file]: { sha256: sha256Of(changed), bytes: changed.length } });
      });
      // Whoever opens it now is told that all is well, and gets the wrong label.
      const fresh = await openIndexOwner({
        ...(await readPublished(join(base, 'index'))),
        search,
        threads: 1,
      });
      expect(await labelOf80(fresh)).toBe('a');
      await fresh.close();
      kill('index-process');
      await expect.poll(() => reasons.length, { timeout: 20_000 }).toBeGreaterThan(1);
      expect(reasons[1]).toMatch(new RegExp(`${file}.*\\[index_invalid\\]`));
      expect(neighbours.ready).toBe(false);
      await expect(labelOf80(neighbours)).rejects.toMatchObject({ code: 'not_ready' });
      await cp(join(base, 'kept'), join(dir, file));
      await expect.poll(() => neighbours.ready, { timeout: 20_000 }).toBe(true);
      expect(await labelOf80(neighbours)).toBe('b');
      await neighbours.close();
    },
  );

  it.skipIf(!hnswLoads)('is no graph in place of the one that was derived here', async () => {
    const dir = await publish();
    await rm(join(dir, 'vectors.hnsw'));
    const changed = await swapped('vectors.hnsw', dir);
    const planted = join(dir, `derived-${sha256Of(changed)}.hnsw`);
    const plant = async (): Promise<void> => {
      for (const name of await readdir(dir)) if (name.startsWith('derived-')) await rm(join(dir, name));
      await writeFile(planted, changed);
    };
    await plant();
    const reasons: string[] = [];
    const neighbours = await openIndexOwner({
      ...{ ...(await readPublished(join(base, 'index'))), search: 'auto', threads: 1 },
      onRestart: (reason) => reasons.push(reason),
    });
    expect(await labelOf80(neighbours)).toBe('b');
    await plant();
    kill('index-process');
    await expect.poll(() => reasons, { timeout: 20_000 }).toEqual(['signal SIGKILL']);
    await expect.poll(() => neighbours.ready, { timeout: 20_000 }).toBe(true);
    expect(await labelOf80(neighbours)).toBe('b');
    expect(neighbours.searchKind).toBe('hnsw');
    await neighbours.close();
    expect(await readdir(dir)).not.toContain(basename(planted));
  });
});
