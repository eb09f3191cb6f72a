import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { drawSpeckled, nearvoteIn } from './nearvote.js';

let photo: Buffer;
beforeAll(async () => {
  photo = await drawSpeckled([10, 20, 30], 0).png().toBuffer();
});

/** A folder with a photo and, in ./index, folders that have published something: whether it is whole decides later. */
async function folderWith(...indexes: (string | Buffer)[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nearvote-which-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'photo.png'), photo);
  for (const name of indexes) {
    const dir = Buffer.concat([Buffer.from(join(folder, 'index/')), Buffer.from(name)]);
    await mkdir(dir, { recursive: true });
    await writeFile(Buffer.concat([dir, Buffer.from('/current')]), 'v1\n');
  }
  return folder;
}

const classify = (folder: string, ...flags: string[]) =>
  nearvoteIn(folder, 'classify', 'photo.png', ...flags);

// A link to itself cannot be followed, whoever asks; root may read a folder that nobody else may.
describe('an index of your own', () => {
  it('that cannot be looked into is named, and the shipped one is not taken instead', async () => {
    const folder = await folderWith();
    await mkdir(join(folder, 'index'));
    await symlink('own', join(folder, 'index/own'));
    const { code, stderr } = await classify(folder);
    expect(stderr).toContain('index/own cannot be read (ELOOP)');
    expect(stderr).toContain('[index_invalid]');
    expect(code).toBe(1);
  });

  it('is missed in a folder ./index that cannot be listed, which is said', async () => {
    const folder = await folderWith();
    await symlink('index', join(folder, 'index'));
    const { code, stderr } = await classify(folder);
    expect(stderr).toContain('but index cannot be read (ELOOP)');
    expect(code).toBe(1);
  });

  it.skipIf(process.platform === 'darwin')('whose name is no UTF-8 is asked to be renamed', async () => {
    const { code, stderr } = await classify(await folderWith(Buffer.from([0x66, 0xfc, 0x72])));
    expect(stderr).toContain(
      'Expected a name in UTF-8 but there is index/f\ufffdr: rename it [index_invalid]',
    );
    expect(code).toBe(1);
  });

  it('counts once under all its names, and a hidden folder and a file beside it not at all', async () => {
    const folder = await folderWith('photos', '.old');
    await symlink('photos', join(folder, 'index/alias'));
    await writeFile(join(folder, 'index/notes.txt'), '');
    const { stderr } = await classify(folder);
    // Chosen, and found to be no more than a name.
    expect(stderr).toContain(join('index', 'photos', 'v1'));
    expect(stderr).not.toContain('several');
  });

  it('is one folder for a command that works with one, whatever a server of several was told', async () => {
    const { code, stderr } = await classify(await folderWith(), '--index', 'a=index/a,b=index/b');
    expect(stderr).toContain(
      'received a=index/a,b=index/b: names and several indexes are for serve alone [usage]',
    );
    expect(code).toBe(2);
  });

  it('is found by its name alone, as by the commands of an index, unless a folder here holds an index', async () => {
    const folder = await folderWith('photos');
    await mkdir(join(folder, 'photos'));
    const { stderr } = await classify(folder, '--index', 'photos');
    expect(stderr).toContain(join(folder, 'index', 'photos', 'v1'));
    await writeFile(join(folder, 'photos/current'), 'v2\n');
    expect((await classify(folder, '--index', 'photos')).stderr).toContain(join(folder, 'photos', 'v2'));
  });

  it('that is broken is not offered in place of itself', async () => {
    const folder = await folderWith('photos');
    const unnamed = await classify(folder);
    expect(unnamed.stderr).toContain('[index_missing]');
    expect(unnamed.stderr).not.toContain('There is');
    const named = await classify(folder, '--index', './index/photos');
    expect(named.stderr).not.toContain('There is');
    const other = await classify(folder, '--index', 'index/photo');
    expect(other.stderr).toContain('There is index/photos');
  });
});
