import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  countImages,
  walkImages,
  type ImageFile,
  type WalkOptions,
} from '../../../src/image/dataset/walk-images.js';

async function folderOf(files: readonly (string | Buffer)[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nearvote-walk-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  for (const file of files) {
    const path = Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(file)]);
    await mkdir(path.subarray(0, path.lastIndexOf(0x2f)), { recursive: true });
    await writeFile(path, '');
  }
  return folder;
}

async function walked(paths: readonly string[], options?: WalkOptions): Promise<ImageFile[]> {
  const files: ImageFile[] = [];
  for await (const file of walkImages(paths, options)) files.push(file);
  return files;
}

const pathsIn = async (folder: string, options?: WalkOptions): Promise<string[]> =>
  (await walked([folder], options)).map(({ path }) => path.slice(folder.length + 1));

describe('the files of a folder', () => {
  it('come in code-unit order of the names in each folder, however deep, hidden ones left out', async () => {
    const folder = await folderOf([
      'b.jpg',
      'a/2.jpg',
      'a/10.jpg',
      'B.jpg',
      'é.jpg',
      'c/d/e/f.jpg',
      '.h/x.jpg',
      'a/.x',
    ]);
    expect(await pathsIn(folder)).toEqual(['B.jpg', 'a/10.jpg', 'a/2.jpg', 'b.jpg', 'c/d/e/f.jpg', 'é.jpg']);
    expect(await pathsIn(folder)).toEqual(await pathsIn(folder));
  });

  it('are those that are no sidecars, which are counted', async () => {
    const folder = await folderOf(['1.jpg', 'notes.txt', 'a.CSV', 'b.csv', 'x.json']);
    const passedOver = new Map<string, number>();
    expect(await pathsIn(folder, { passedOver })).toEqual(['1.jpg']);
    expect(Object.fromEntries(passedOver)).toEqual({ '.txt': 1, '.csv': 2, '.json': 1 });
  });

  it('are not the result that is written among them, whatever it is called and by whatever way it is reached', async () => {
    const folder = await folderOf(['1.jpg', 'result', 'a/result', 'result.run/run.x']);
    const other = join(await folderOf([]), 'alias');
    await symlink(folder, other);
    const own = [join(folder, 'result'), join(folder, 'result.run')];
    expect(await pathsIn(folder, { own })).toEqual(['1.jpg', 'a/result']);
    expect(await pathsIn(other, { own })).toEqual(['1.jpg', 'a/result']);
  });

  it('are found through a link to a file inside, and no other link is followed, one in a circle least of all', async () => {
    const folder = await folderOf(['a/1.jpg']);
    const outside = await folderOf(['secret.jpg']);
    await symlink(join(folder, 'a/1.jpg'), join(folder, 'in.jpg'));
    await symlink(join(outside, 'secret.jpg'), join(folder, 'out.jpg'));
    await symlink(folder, join(folder, 'a/circle'));
    await symlink('self', join(folder, 'self'));
    await symlink('gone', join(folder, 'dangling.jpg'));
    const passedOver = new Map<string, number>();
    expect(await pathsIn(folder, { passedOver })).toEqual(['a/1.jpg', 'in.jpg']);
    expect(Object.fromEntries(passedOver)).toEqual({ links: 4 });
  });

  it('are no pipes', async () => {
    const folder = await folderOf(['1.jpg']);
    execFileSync('mkfifo', [join(folder, 'pipe.jpg')]);
    expect(await pathsIn(folder)).toEqual(['1.jpg']);
  });

  it('keep names with line ends, quotes and commas', async () => {
    const names = ['a\nb.jpg', 'a"b.jpg', 'a,b.jpg', '=1+1.jpg'];
    expect(await pathsIn(await folderOf(names))).toEqual(names.toSorted());
  });

  it.runIf(process.platform === 'linux')(
    'are files with a fault where their names are no UTF-8',
    async () => {
      const folder = await folderOf([
        'a\ufffd.jpg',
        Buffer.from([0x61, 0xff, 0x2e, 0x6a]),
        Buffer.from([0x61, 0xfe, 0x2e, 0x6a]),
      ]);
      const fault = 'its name is not UTF-8';
      expect(
        (await walked([folder])).map(({ path, ...rest }) => [path.slice(folder.length + 1), rest]),
      ).toEqual([
        ['a\\xfe.j', { fault }],
        ['a\\xff.j', { fault }],
        ['a\ufffd.jpg', {}],
      ]);
    },
  );

  it.skipIf(process.getuid?.() === 0)(
    'go on past a folder that cannot be listed, which is a file with a fault',
    async () => {
      const folder = await folderOf(['a/1.jpg', 'b.jpg']);
      await chmod(join(folder, 'a'), 0);
      expect(await walked([folder])).toEqual([
        { path: join(folder, 'a/'), fault: 'EACCES' },
        { path: join(folder, 'b.jpg') },
      ]);
      await chmod(join(folder, 'a'), 0o700);
    },
  );

  it('go on past a folder that disappears on the way', async () => {
    const folder = await folderOf(['0.jpg', 'a/1.jpg', 'b.jpg']);
    const files: ImageFile[] = [];
    for await (const file of walkImages([folder])) {
      files.push(file);
      if (file.path.endsWith('0.jpg')) await rm(join(folder, 'a'), { recursive: true });
    }
    expect(files).toEqual([
      { path: join(folder, '0.jpg') },
      { path: join(folder, 'a/'), fault: 'ENOENT' },
      { path: join(folder, 'b.jpg') },
    ]);
  });

  it('come after one another for several folders, with files that were named whatever they are called', async () => {
    const [one, two] = [await folderOf(['1.jpg']), await folderOf(['2.jpg', 'x.txt'])];
    const named = join(two, 'x.txt');
    expect((await walked([two, named, one])).map(({ path }) => path)).toEqual([
      join(two, '2.jpg'),
      named,
      join(one, '1.jpg'),
    ]);
  });

  it('are counted, and nothing at all is an error that names it', async () => {
    const folder = await folderOf(['1.jpg', '2.jpg', 'a/3.jpg']);
    expect(await countImages([folder])).toBe(3);
    expect(await countImages([folder], { most: 2 })).toBe(2);
    expect(await countImages([folder], { counts: ({ path }) => !path.endsWith('3.jpg') })).toBe(2);
    expect(await countImages(['no-such', folder])).toBe(4);
    await expect(countImages(['no-such'])).rejects.toMatchObject({ code: 'image_missing' });
  });
});
