import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIndex } from '../../src/build/build-index.js';
import type { BuildReport } from '../../src/build/build-report.js';
import { mergeShards } from '../../src/build/merge-shards.js';
import { buildOptions } from './build-options.js';
import { pixelDataset, pixelEncoder } from './pixel-encoder.js';

const child = fileURLToPath(new URL('./killed-shard.ts', import.meta.url));
const shards = 8;
const dataset = pixelDataset({ count: 1_600 });
const now = (): Date => new Date('2026-05-01T00:00:00.000Z');

let base = '';
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-killed-shards-'));
});
afterAll(() => rm(base, { recursive: true }));

/** @returns what it printed, or the signal that ended it */
function embed(dir: string, shard: number, moment = 'never'): Promise<string> {
  return new Promise((resolve) => {
    const run = execFile(
      process.execPath,
      ['--import', 'tsx', child, dir, String(shard), moment],
      (_error, stdout, stderr) => resolve(run.signalCode ?? (stdout.trim() || stderr)),
    );
  });
}

async function filesOf({ dir }: BuildReport): Promise<Record<string, string>> {
  const names = (await readdir(dir)).sort();
  const contents = await Promise.all(names.map((name) => readFile(join(dir, name), 'hex')));
  return Object.fromEntries(names.map((name, i) => [name, contents[i] ?? '']));
}

describe('the parts of a build, as processes that are killed with SIGKILL', () => {
  it('make the index of an undisturbed build, byte for byte, wherever each of them died before', async () => {
    const dir = join(base, 'parts');
    const moments = ['image 130', 'image 200', ...[1, 2, 3, 4, 6, 8].map((number) => `change ${number}`)];
    const ends = new Set<string>();
    for (let first = 0; first < moments.length; first += 4) {
      // Four at once.
      const four = moments.slice(first, first + 4).map(async (moment, i) => {
        const shard = (first + i) % shards;
        ends.add(await embed(dir, shard, moment));
        // Where it died before it could leave its name with the lock, that is free after half a minute: let it be over.
        for (const lock of ['.lock', '.lock-takeover']) {
          await utimes(join(dir, `${shard}-of-${shards}`, lock), 0, 0).catch(() => undefined);
        }
      });
      await Promise.all(four);
    }
    expect([...ends]).toContain('SIGKILL');
    const finished = await Promise.all(Array.from({ length: shards }, (_, shard) => embed(dir, shard)));
    for (const end of finished) expect(['done', 'skipped']).toContain(end);

    const target = buildOptions({ out: join(base, 'merged', 'drawn'), dataset, now });
    const merged = await mergeShards({ ...target, encoder: pixelEncoder, shards, shardDir: dir });
    const whole = await buildIndex(buildOptions({ out: join(base, 'built', 'drawn'), dataset, now }));
    expect(await filesOf(merged)).toEqual(await filesOf(whole));
  });
});
