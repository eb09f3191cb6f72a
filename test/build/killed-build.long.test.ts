import { execFile } from 'node:child_process';
import { cp, mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIndex } from '../../src/build/build-index.js';
import { openIndex } from '../../src/examples/index-store.js';
import { openSearcher } from '../../src/neighbours/open-searcher.js';
import { buildOptions } from './build-options.js';
import { pixelDataset } from './pixel-encoder.js';

const child = fileURLToPath(new URL('./killed-build.ts', import.meta.url));

interface Ended {
  readonly signal: string | null;
  readonly stdout: string;
}

function buildAndDie(out: string, moment: string): Promise<Ended> {
  return new Promise((resolve) => {
    const run = execFile(process.execPath, ['--import', 'tsx', child, out, moment], (_error, stdout) =>
      resolve({ signal: run.signalCode, stdout }),
    );
  });
}

describe('a build killed with SIGKILL', () => {
  let base = '';
  let before = '';
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-killed-'));
    before = join(base, 'before');
    await buildIndex(buildOptions({ out: before, dataset: pixelDataset({ count: 50 }) }));
  });
  afterAll(() => rm(base, { recursive: true }));

  async function killAt(moment: string): Promise<{ out: string; ended: Ended }> {
    const out = join(base, moment.replace(' ', '-'));
    await cp(before, out, { recursive: true });
    return { out, ended: await buildAndDie(out, moment) };
  }

  /** The whole version is there and answers. */
  async function served(out: string): Promise<number> {
    const { dir, examples } = await openIndex(out);
    const searcher = await openSearcher({ dir, mode: 'auto', threads: 1 });
    expect(searcher.size).toBe(examples.length);
    await searcher.close();
    return examples.length;
  }

  it.each(['embedding', 'image 300', 'measuring', 'publishing'])(
    'leaves the old index served when it dies at: %s',
    async (moment) => {
      const { out, ended } = await killAt(moment);
      expect(ended.signal).toBe('SIGKILL');
      expect(await served(out)).toBe(50);
      // The next build is let in, takes up what was embedded and clears what was left.
      const report = await buildIndex(buildOptions({ out, dataset: pixelDataset({ count: 400, seed: 2 }) }));
      expect(report.embedded + report.fromCache).toBe(400);
      // The cache is written 128 at a time; the last image was past the second time.
      if (moment === 'image 300') expect(report.fromCache).toBeGreaterThanOrEqual(256);
      if (moment === 'measuring') expect(report.fromCache).toBe(400);
      expect(await served(out)).toBe(400);
      expect((await readdir(out)).filter((name) => name.startsWith('.'))).toEqual(['.cache', '.leases']);
    },
  );

  // The folder changes when the lock comes and goes, and at each step of publishing.
  it.each([2, 5, 7, 9, 11])(
    'leaves one whole index served, the old or the new, when it dies at the change number %i of its folder',
    async (number) => {
      const { out, ended } = await killAt(`change ${number}`);
      // A build that was too quick for the last of them has published.
      if (ended.signal !== 'SIGKILL') expect(ended.stdout).toBe('published\n');
      expect([50, 400]).toContain(await served(out));
      // Where it died before it could leave its name with the lock, that is free after half a minute: let it be over.
      await utimes(join(out, '.lock'), 0, 0).catch(() => undefined);
      await buildIndex(buildOptions({ out, dataset: pixelDataset({ count: 400, seed: 2 }) }));
      expect(await served(out)).toBe(400);
    },
  );
});
