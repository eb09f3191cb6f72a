import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIndex } from '../../src/build/build-index.js';
import { describeIndex } from '../../src/curate/describe-index.js';
import { verifyIndex } from '../../src/curate/verify-index.js';
import { buildOptions } from './build-options.js';
import { datasetOf, pixelImages } from './pixel-encoder.js';

const child = fileURLToPath(new URL('./killed-sync.ts', import.meta.url));

interface Ended {
  readonly signal: string | null;
  readonly stdout: string;
}

function syncAndDie(root: string, moment: string): Promise<Ended> {
  return new Promise((resolve) => {
    const run = execFile(process.execPath, ['--import', 'tsx', child, root, moment], (_error, stdout) =>
      resolve({ signal: run.signalCode, stdout }),
    );
  });
}

describe('a sync killed with SIGKILL', () => {
  let base = '';
  let before = '';
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-killed-sync-'));
    before = join(base, 'before');
    // Of the 400 images that the sync is of, and 40 that go.
    const stay = pixelImages({ count: 400 }).slice(0, 100);
    const go = pixelImages({ count: 40, seed: 3 }).map((image) => ({ ...image, id: `old/${image.id}` }));
    await buildIndex(buildOptions({ out: before, dataset: datasetOf('drawn', [...stay, ...go]) }));
  });
  afterAll(() => rm(base, { recursive: true }));

  // The folder changes when a lock or the journal comes and goes; the images are read first, then embedded.
  const moments = ['image 250', 'image 690', ...[1, 3, 5, 7, 9].map((at) => `change ${at}`)];
  it.each(moments)('has made all of its change or none when it dies at: %s', async (moment) => {
    const root = join(base, moment.replace(' ', '-'));
    await cp(before, root, { recursive: true });
    const ended = await syncAndDie(root, moment);
    if (ended.signal !== 'SIGKILL') expect(ended.stdout).toBe('synced\n');
    expect([140, 400]).toContain((await describeIndex(root)).examples);
    expect(await verifyIndex({ root })).toMatchObject({ defects: [] });
    // Where it died before it could leave its name with a lock, that is free after half a minute: let it be over.
    for (const lock of ['.lock', '.writer']) await utimes(join(root, lock), 0, 0).catch(() => undefined);
    expect(await syncAndDie(root, 'never')).toEqual({ signal: null, stdout: 'synced\n' });
    expect((await describeIndex(root)).examples).toBe(400);
    expect(await verifyIndex({ root })).toMatchObject({ defects: [] });
  });
});
