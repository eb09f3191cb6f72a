import { mkdir, rm, symlink, truncate } from 'node:fs/promises';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { nameOfPath } from '../../../src/image/dataset/dataset.js';
import { openDataset } from '../../../src/image/dataset/open-dataset.js';
import { farthestFrom, solid } from '../drawing.js';
import { decoderTo } from '../decoder-to.js';
import { folderOf, idsOf, listed, removeFoldersAfterEach } from './folders.js';

removeFoldersAfterEach();
const train = { split: 'train' } as const;

describe('the name of a folder or list', () => {
  it.each([
    ['validation', 'validation'],
    ['clothing/validation', 'clothing/validation'],
    ['./photos/clothing/validation/', 'clothing/validation'],
    ['../../clothing/list.csv', 'clothing/list.csv'],
    ['/home/someone/clothing/validation', 'validation'],
    ['.', basename(process.cwd())],
    ['/', 'folder'],
  ])('of %s is %s', (path, name) => {
    expect(nameOfPath(path)).toBe(name);
  });
});

describe('a folder per class', () => {
  it('counts what it passes over by how names end, and names a class without images', async () => {
    const root = await folderOf({
      'cats/a.jpg': 'x',
      'cats/notes.txt': 'x',
      'cats/Thumbs.db': 'x',
      'dogs/young/NOTES.TXT': 'x',
      'readme.md': 'x',
    });
    await mkdir(join(root, 'owls'));
    const { passedOver, emptyClasses } = await openDataset(root, train);
    expect(passedOver).toEqual(new Map(Object.entries({ '.txt': 2, '.db': 1, '.md': 1 })));
    expect(emptyClasses).toEqual(['dogs', 'owls']);
  });

  it('takes the first level for the label and lists what lies below by relative path', async () => {
    const root = await folderOf({
      'cats/b.JPG': 'x',
      'cats/a.jpeg': 'x',
      'cats/young/tabby/c.PnG': 'x',
      'dogs/d.webp': 'x',
      'dogs/e.Gif': 'x',
      'dogs/f.avif': 'x',
      'dogs/g.tif': 'x',
      'dogs/h.TIFF': 'x',
    });
    const dataset = await openDataset(root, train);
    expect(dataset.name).toBe(basename(root));
    expect(dataset.size).toBe(8);
    expect([...dataset.labelCounts]).toEqual([
      ['cats', 3],
      ['dogs', 5],
    ]);
    const images = await listed(dataset);
    expect(images.map(({ id, label, source }) => [id, label, source])).toEqual([
      ['cats/a.jpeg', 'cats', 'cats/a.jpeg'],
      ['cats/b.JPG', 'cats', 'cats/b.JPG'],
      ['cats/young/tabby/c.PnG', 'cats', 'cats/young/tabby/c.PnG'],
      ['dogs/d.webp', 'dogs', 'dogs/d.webp'],
      ['dogs/e.Gif', 'dogs', 'dogs/e.Gif'],
      ['dogs/f.avif', 'dogs', 'dogs/f.avif'],
      ['dogs/g.tif', 'dogs', 'dogs/g.tif'],
      ['dogs/h.TIFF', 'dogs', 'dogs/h.TIFF'],
    ]);
  });

  it('reads images that decode to what was drawn', async () => {
    const root = await folderOf({ 'red/1.png': await solid([200, 10, 10]).png().toBuffer() });
    const [image] = await listed(await openDataset(root, train));
    const decoder = decoderTo({ width: 4, height: 4, fit: 'fill', kernel: 'linear' });
    const content = await image?.read();
    expect(farthestFrom(await decoder.decode(content ?? new Uint8Array()), [200, 10, 10])).toBe(0);
  });

  it('orders by code unit, whatever the locale and the file system say', async () => {
    const names = ['Z.png', 'a.png', 'É.png', 'B.png', '10.png', '9.png', '😀.png', 'z.png'];
    const root = await folderOf(Object.fromEntries(names.map((name) => [`c/${name}`, 'x'])));
    expect(await idsOf(await openDataset(root, train))).toEqual(
      ['10.png', '9.png', 'B.png', 'Z.png', 'a.png', 'z.png', 'É.png', '😀.png'].map((name) => `c/${name}`),
    );
  });

  it('can be listed twice, to the same end', async () => {
    const dataset = await openDataset(await folderOf({ 'a/1.png': 'x', 'b/2.png': 'x' }), train);
    expect(await idsOf(dataset)).toEqual(await idsOf(dataset));
  });

  it('takes labels of any script, with spaces and quotes, in one spelling', async () => {
    const root = await folderOf({
      'big cats/1.png': 'x',
      "it's/1.png": 'x',
      '猫/1.png': 'x',
      'e\u0301te\u0301/1.png': 'x',
      '\u00e9t\u00e9/2.png': 'x',
    });
    const dataset = await openDataset(root, train);
    expect([...dataset.labelCounts]).toEqual([
      ['big cats', 1],
      ["it's", 1],
      ['\u00e9t\u00e9', 2],
      ['猫', 1],
    ]);
    for (const image of await listed(dataset))
      await expect(image.read()).resolves.toMatchObject({ kind: 'file' });
  });

  it('leaves out hidden files and sidecars, and lists other files so that they end as rejects', async () => {
    const root = await folderOf({
      'cats/1.png': 'x',
      'cats/.hidden.png': 'x',
      'cats/.git/2.png': 'x',
      'cats/Thumbs.db': 'x',
      'cats/desktop.ini': 'x',
      'cats/1.txt': 'x',
      'cats/1.JSON': 'x',
      'cats/readme.md': 'x',
      'cats/rows.csv': 'x',
      'cats/1.xml': 'x',
      'cats/video.mp4': 'x',
      'cats/noextension': 'x',
      '.cache/1.png': 'x',
      'README.txt': 'x',
      'cover.png': 'x',
    });
    expect(await idsOf(await openDataset(root, train))).toEqual([
      'cats/1.png',
      'cats/noextension',
      'cats/video.mp4',
    ]);
  });

  it('follows links to files inside, and none that lead out, in circles or nowhere', async () => {
    const outside = await folderOf({ 'secret/1.png': 'x' });
    const root = await folderOf({ 'cats/1.png': 'x', 'cats/deep/2.png': 'x' });
    await symlink('1.png', join(root, 'cats/again.png'));
    await symlink(join(outside, 'secret/1.png'), join(root, 'cats/out.png'));
    await symlink(join(outside, 'secret'), join(root, 'secret'));
    await symlink('../..', join(root, 'cats/deep/loop'));
    await symlink('circle.png', join(root, 'cats/circle.png'));
    await symlink('nowhere.png', join(root, 'cats/dangling.png'));
    expect(await idsOf(await openDataset(root, train))).toEqual([
      'cats/1.png',
      'cats/again.png',
      'cats/deep/2.png',
    ]);
  });

  it('opens a root that is itself a link', async () => {
    const root = await folderOf({ 'cats/1.png': 'x' });
    const elsewhere = await folderOf();
    await symlink(root, join(elsewhere, 'data'));
    await symlink('1.png', join(root, 'cats/2.png'));
    expect(await idsOf(await openDataset(join(elsewhere, 'data'), train))).toEqual([
      'cats/1.png',
      'cats/2.png',
    ]);
  });

  it('lists thousands of files in order', async () => {
    const names = Array.from({ length: 3000 }, (_, i) => `many/${String(i).padStart(4, '0')}.png`);
    const root = await folderOf(Object.fromEntries([...names].reverse().map((name) => [name, ''])));
    expect(await idsOf(await openDataset(root, train))).toEqual(names);
  });
});

describe('what cannot be read in a folder', () => {
  const shell = (script: string, root: string) => execFileSync('/bin/bash', ['-ec', script], { cwd: root });
  const refusals = async (root: string) => {
    const images = await listed(await openDataset(root, train));
    const read = images.map(async (image) => {
      const reason = await image.read().then(
        () => 'read',
        (error: unknown) => String((error as { code?: unknown }).code),
      );
      return [image.id, image.label, reason];
    });
    return Promise.all(read);
  };

  it('has a name that is no UTF-8: each such file is listed once, and is missing when it is read', async () => {
    const root = await folderOf({ 'cats/a.png': 'x' });
    shell(
      "cd cats; touch $'\\xff.png' $'\\xfe.png' $'caf\\xe9.png'; mkdir $'\\xf0'; touch $'\\xf0/b.png'",
      root,
    );
    shell("mkdir $'d\\xf6gs'; touch $'d\\xf6gs/c.png'", root);
    expect(await refusals(root)).toEqual([
      ['cats/\\xf0/b.png', 'cats', 'image_missing'],
      ['cats/\\xfe.png', 'cats', 'image_missing'],
      ['cats/\\xff.png', 'cats', 'image_missing'],
      ['cats/a.png', 'cats', 'read'],
      ['cats/caf\\xe9.png', 'cats', 'image_missing'],
      ['d\\xf6gs/c.png', 'd\\xf6gs', 'image_missing'],
    ]);
  });

  it('is a folder that cannot be listed: it is one image that is missing, whatever else is there', async () => {
    const root = await folderOf({ 'cats/a.png': 'x' });
    // Deeper than a path may be long.
    shell('cd cats; for i in {1..25}; do n=$(printf "%0200d" 0); mkdir $n; cd -P $n; done', root);
    const found = await refusals(root);
    expect(found).toHaveLength(2);
    expect(found[0]?.[0]).toMatch(/^cats\/(0{200}\/)+$/);
    expect(found.map(([, , reason]) => reason)).toEqual(['image_missing', 'read']);
    shell('rm -rf cats', root);
  });

  it('is no file: pipes, sockets and links to devices are left out', async () => {
    const root = await folderOf({ 'cats/a.png': 'x' });
    shell('mkfifo cats/pipe.png; ln -s /dev/zero cats/zero.png; ln -s pipe.png cats/link.png', root);
    const server = createServer().listen(join(root, 'cats/socket.png'));
    await once(server, 'listening');
    expect(await refusals(root)).toEqual([['cats/a.png', 'cats', 'read']]);
    server.close();
  });
});

describe('a folder that is no dataset', () => {
  it('is missing where there is none', async () => {
    const root = await folderOf();
    await expect(openDataset(join(root, 'none'), train)).rejects.toMatchObject({
      code: 'dataset_missing',
      message: `Expected a dataset at ${join(root, 'none')} but it cannot be opened (ENOENT)`,
    });
  });

  it.each([
    ['nothing', {}],
    ['empty class folders', { 'cats/.keep': '', 'dogs/.keep': '' }],
    ['only sidecars', { 'cats/readme.md': 'x' }],
  ])('is invalid where it holds %s', async (_what, files) => {
    const root = await folderOf(files);
    await expect(openDataset(root, train)).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: `Expected a folder of images for each class in ${root} but received no images`,
    });
  });

  it('is invalid where the images lie in no class, and says which', async () => {
    const root = await folderOf({ 'd.png': 'x', 'b.png': 'x', 'c.png': 'x', 'a.png': 'x' });
    await expect(openDataset(root, train)).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: `Expected a folder of images for each class in ${root} but received 4 files outside any class folder (a.png, b.png, c.png, ...)`,
    });
  });

  it('is invalid where it is some other file', async () => {
    const root = await folderOf({ 'photo.png': 'x' });
    await expect(openDataset(join(root, 'photo.png'), train)).rejects.toMatchObject({
      code: 'dataset_invalid',
    });
  });
});

describe('reading one image', () => {
  const open = async (root: string, maxFileBytes?: number) => {
    const [image] = await listed(await openDataset(root, { split: 'train', maxFileBytes }));
    if (image === undefined) throw new Error('nothing listed');
    return image;
  };

  it('gives the bytes of the file', async () => {
    const image = await open(await folderOf({ 'c/1.png': Buffer.from([1, 2, 3]) }));
    expect(await image.read()).toEqual({ kind: 'file', bytes: Uint8Array.from([1, 2, 3]) });
  });

  it('gives an empty file as no bytes, for the decoder to refuse', async () => {
    const image = await open(await folderOf({ 'c/1.png': '' }));
    expect(await image.read()).toEqual({ kind: 'file', bytes: new Uint8Array() });
  });

  it('refuses a file above the limit by its size alone', async () => {
    const root = await folderOf({ 'c/1.png': 'four' });
    expect(await (await open(root, 4)).read()).toMatchObject({ kind: 'file' });
    await expect((await open(root, 3)).read()).rejects.toMatchObject({
      code: 'image_too_large',
      message: 'Expected an image file of at most 3 bytes but c/1.png has 4',
    });
    // Sparse: 10 GB could not be read within the test's time, nor held.
    await truncate(join(root, 'c/1.png'), 10e9);
    await expect((await open(root)).read()).rejects.toMatchObject({ code: 'image_too_large' });
  });

  it('says that a file is gone when it is', async () => {
    const root = await folderOf({ 'c/1.png': 'x' });
    const image = await open(root);
    await rm(join(root, 'c/1.png'));
    await expect(image.read()).rejects.toMatchObject({
      code: 'image_missing',
      message: 'Expected to read c/1.png but it cannot be read (ENOENT)',
    });
  });

  it('does not wait for ever at a named pipe that took its place', async () => {
    const root = await folderOf({ 'c/1.png': 'x' });
    const image = await open(root);
    await rm(join(root, 'c/1.png'));
    execFileSync('/bin/sh', ['-c', 'mkfifo "$0"', join(root, 'c/1.png')]);
    await expect(image.read()).rejects.toMatchObject({ code: 'image_missing' });
    await rm(join(root, 'c/1.png'));
    await mkdir(join(root, 'c/1.png'));
    await expect(image.read()).rejects.toMatchObject({ code: 'image_missing' });
  });
});
