import { appendFile, cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readEncoderManifest } from '../../src/encoder/load.js';
import { createEncoderPool } from '../../src/encoder/pool/pool.js';
import { readPublished } from '../../src/examples/index-store.js';
import { openIndexOwner } from '../../src/neighbours/index-owner.js';
import { writeDrawnEncoder } from '../cli/drawn-encoder.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';
import { childrenRunning } from '../processes/children-running.js';

/** Kills this process's child that runs such a file, as a fault in native code would. */
function kill(file: string): void {
  const [pid] = childrenRunning(file);
  if (pid === undefined) throw new Error(`Expected a child that runs ${file}`);
  process.kill(pid, 'SIGKILL');
}

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

  it.each(['examples.jsonl', 'embeddings.f32'] as const)(
    'is no index that a replaced owner serves: %s',
    async (file) => {
      const root = join(base, 'index');
      const dir = await publishSmallIndex({
        root,
        embeddings: onCircle([0, 90]),
        examples: ['a', 'b'].map((label) => ({ id: label, label, source: label })),
      });
      const reasons: string[] = [];
      const neighbours = await openIndexOwner({
        ...{ ...(await readPublished(root)), search: 'exact', threads: 1 },
        onRestart: (reason) => reasons.push(reason),
      });
      const [query] = [onCircle([80]).values];
      expect((await neighbours.search(query, { k: 1, shown: 1 })).labels).toEqual(['b']);
      await cp(join(dir, file), join(base, 'kept'));
      const content = await readFile(join(dir, file));
      // The labels change places; the manifest beside them is made to say that this is right.
      const changed = content.toReversed();
      await writeFile(join(dir, file), changed);
      await appendFile(join(dir, 'manifest.json'), ' ');
      kill('index-process');
      await expect.poll(() => reasons.length, { timeout: 20_000 }).toBeGreaterThan(1);
      expect(reasons[1]).toContain('[index_invalid]');
      expect(neighbours.ready).toBe(false);
      await expect(neighbours.search(query, { k: 1, shown: 1 })).rejects.toMatchObject({ code: 'not_ready' });
      await cp(join(base, 'kept'), join(dir, file));
      await expect.poll(() => neighbours.ready, { timeout: 20_000 }).toBe(true);
      expect((await neighbours.search(query, { k: 1, shown: 1 })).labels).toEqual(['b']);
      await neighbours.close();
    },
  );
});
