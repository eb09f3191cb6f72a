import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { digestFile } from '../../src/files/digest.js';

describe('the digest of a file', () => {
  it.each([0, 1, 2 ** 20 - 1, 2 ** 20, 2 ** 20 + 1, 3 * 2 ** 20 + 12_345])(
    'of %i bytes is what sha256sum says',
    async (bytes) => {
      const folder = await mkdtemp(join(tmpdir(), 'nearvote-digest-'));
      onTestFinished(() => rm(folder, { recursive: true }));
      const path = join(folder, 'file');
      await writeFile(
        path,
        Uint8Array.from({ length: bytes }, (_, i) => (i * 2_654_435_761) >>> 13),
      );
      const said = execFileSync('sha256sum', [path]).toString().slice(0, 64);
      expect(await digestFile(path)).toEqual({ sha256: said, bytes });
    },
  );

  it('of a file that is not there is the error of the file system', async () => {
    await expect(digestFile('no-such-file')).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
