import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { LabelledImage } from '../../../src/image/dataset/dataset.js';
import { openLabelledFiles, type LabelledFiles } from '../../../src/image/dataset/labelled-files.js';
import { folderOf, removeFoldersAfterEach } from './folders.js';

removeFoldersAfterEach();

const maxFileBytes = 100;

async function all(files: LabelledFiles): Promise<LabelledImage[]> {
  const images: LabelledImage[] = [];
  for await (const image of files.images()) images.push(image);
  return images;
}

describe('image files of one label', () => {
  it('are those that were named and those below folders, and say nothing of where they lie', async () => {
    const folder = await folderOf({ 'a.png': 'a', 'more/deep/b.png': 'b', 'more/notes.txt': 'x' });
    const paths = [join(folder, 'a.png'), join(folder, 'more')];
    const files = await openLabelledFiles({ paths, label: 'cat', maxFileBytes });
    const images = await all(files);
    expect(files).toMatchObject({ size: 2, passedOver: new Map([['.txt', 1]]), unlabelled: [] });
    expect(images).toMatchObject([
      { id: paths[0], label: 'cat', source: 'a.png' },
      { id: join(folder, 'more/deep/b.png'), label: 'cat', source: 'deep/b.png' },
    ]);
    expect(await images[1]?.read()).toEqual({ kind: 'file', bytes: new Uint8Array(Buffer.from('b')) });
  });

  it('must be there', async () => {
    const folder = await folderOf({ 'notes.txt': 'x' });
    for (const paths of [[join(folder, 'none')], [folder]]) {
      await expect(openLabelledFiles({ paths, label: 'cat', maxFileBytes })).rejects.toMatchObject({
        code: 'image_missing',
      });
    }
  });
});

describe('image files without a label', () => {
  it('have that of their folder', async () => {
    const folder = await folderOf({
      'cat/a.png': 'a',
      'dog/b/c.png': 'c',
      'stray.png': 'x',
      'cat/x.md': 'x',
    });
    const files = await openLabelledFiles({ paths: [folder], maxFileBytes });
    expect(files).toMatchObject({ size: 2, unlabelled: ['stray.png'], passedOver: new Map([['.md', 1]]) });
    expect(await all(files)).toMatchObject([
      { id: `${folder}/cat/a.png`, label: 'cat', source: 'cat/a.png' },
      { id: `${folder}/dog/b/c.png`, label: 'dog', source: 'dog/b/c.png' },
    ]);
  });

  it('are refused where no folder tells it, with the option that does', async () => {
    const folder = await folderOf({ 'a.png': 'a' });
    for (const [path, code] of [
      [join(folder, 'a.png'), 'usage'],
      [folder, 'dataset_invalid'],
    ] as const) {
      await expect(openLabelledFiles({ paths: [path], maxFileBytes })).rejects.toMatchObject({
        code,
        message: expect.stringContaining('--label') as string,
      });
    }
    await expect(openLabelledFiles({ paths: [join(folder, 'none')], maxFileBytes })).rejects.toMatchObject({
      code: 'image_missing',
    });
  });
});
