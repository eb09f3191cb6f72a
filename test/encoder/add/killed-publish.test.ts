import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { publishFolder } from '../../../src/encoder/add/publish.js';
import { readEncoderManifest } from '../../../src/encoder/load.js';
import { readEncoderFile, sha256Of } from '../../../src/encoder/manifest.js';
import { filesOf } from './published-files.js';

const child = fileURLToPath(new URL('./killed-publish.mjs', import.meta.url));

function publishAndDie(dir: string, steps: number): Promise<string | null> {
  return new Promise((resolve) => {
    const run = execFile(process.execPath, [child, dir, String(steps), JSON.stringify(filesOf('new'))], () =>
      resolve(run.signalCode),
    );
  });
}

let base = '';
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-publish-'));
});
afterEach(() => rm(base, { recursive: true }));

/** The version of the encoder there, whose model is what its manifest says. */
async function wholeVersion(dir: string): Promise<string> {
  const { version, file, sha256 } = await readEncoderManifest(dir);
  expect(sha256Of([await readEncoderFile(dir, file)])).toBe(sha256);
  return version;
}

it(
  'killed before any rename or removal, leaves the old encoder or the new one',
  { timeout: 120_000 },
  async () => {
    const versions: string[] = [];
    for (let steps = 0; ; steps++) {
      const dir = join(base, `${steps}`);
      await publishFolder({ dir, files: filesOf('old'), force: false });
      await writeFile(join(dir, 'old.txt'), 'of the old one');
      const signal = await publishAndDie(dir, steps);
      versions.push(await wholeVersion(dir));
      if (signal === null) {
        const model = (await readEncoderManifest(dir)).file;
        expect((await readdir(dir)).sort()).toEqual(['README.md', 'encoder.json', model].sort());
        break;
      }
      // The next one is let in, and clears what was left.
      await publishFolder({ dir, files: filesOf('next'), force: true });
      expect(await wholeVersion(dir)).toBe('next');
      expect(await readdir(dir)).toHaveLength(3);
    }
    expect(new Set(versions)).toEqual(new Set(['old', 'new']));
    expect(versions.length).toBeGreaterThan(4);
  },
);

it('removes what a killed run left an hour ago, and nothing that another is writing', async () => {
  const dir = join(base, 'kept');
  const [old, young, other] = ['.kept.nearvote-aaaaaa', '.kept.nearvote-bbbbbb', '.kept-backup'].map((name) =>
    join(base, name),
  );
  for (const draft of [old, young, other]) await mkdir(String(draft));
  const longAgo = new Date(Date.now() - 2 * 3_600_000);
  for (const draft of [old, other]) await utimes(String(draft), longAgo, longAgo);
  await publishFolder({ dir, files: filesOf('new'), force: false });
  expect((await readdir(base)).sort()).toEqual(['.kept-backup', '.kept.nearvote-bbbbbb', 'kept']);
});
