import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openDataset } from '../../../src/image/dataset/open-dataset.js';
import { folderOf, listed, removeFoldersAfterEach } from './folders.js';

removeFoldersAfterEach();
const train = { split: 'train' } as const;

async function openList(name: string, text: string, files: Readonly<Record<string, string>> = {}) {
  const root = await folderOf({ [name]: text, ...files });
  return openDataset(join(root, name), train);
}

async function pairs(name: string, text: string) {
  return (await listed(await openList(name, text))).map(({ id, label }) => [id, label]);
}

describe('a .csv list', () => {
  it('names files by bytes that are no UTF-8: each is an image that is missing, and the rest is read', async () => {
    const root = await folderOf({ 'a.png': 'one' });
    const rows = Buffer.from('path,label\n\xff.png,x\n\xfe.png,y\na.png,z\n', 'latin1');
    await writeFile(join(root, 'l.csv'), rows);
    const images = await listed(await openDataset(join(root, 'l.csv'), train));
    expect(images.map(({ label }) => label)).toEqual(['x', 'y', 'z']);
    expect(new Set(images.map(({ id }) => id)).size).toBe(3);
    for (const image of images.slice(0, 2))
      await expect(image.read()).rejects.toMatchObject({ code: 'image_missing' });
    await expect(images[2]?.read()).resolves.toMatchObject({ kind: 'file' });
  });

  it('gives path and label in its own order, and reads beside itself', async () => {
    const dataset = await openList('list.csv', 'path,label\nb/2.png,dog\na.png,cat\nc.png,dog\n', {
      'b/2.png': 'two',
    });
    expect(dataset.name).toBe('list.csv');
    expect(dataset.size).toBe(3);
    expect([...dataset.labelCounts]).toEqual([
      ['cat', 1],
      ['dog', 2],
    ]);
    const images = await listed(dataset);
    expect(images.map(({ id, label }) => [id, label])).toEqual([
      ['b/2.png', 'dog'],
      ['a.png', 'cat'],
      ['c.png', 'dog'],
    ]);
    expect(await images[0]?.read()).toEqual({ kind: 'file', bytes: new Uint8Array(Buffer.from('two')) });
    await expect(images[1]?.read()).rejects.toMatchObject({ code: 'image_missing' });
  });

  it('takes the columns in any order and case, beside others', async () => {
    expect(await pairs('l.csv', 'Split, Label ,PATH\ntrain,cat,a.png\n')).toEqual([['a.png', 'cat']]);
  });

  it('takes quotes, a byte-order mark, Windows line ends and empty lines', async () => {
    const text = '\ufeffpath,label\r\n"with, comma.png","big ""cat"""\r\n\r\n"two\nlines.png", dog \r\n';
    expect(await pairs('l.csv', text)).toEqual([
      ['with, comma.png', 'big "cat"'],
      ['two\nlines.png', 'dog'],
    ]);
  });

  it('writes a path one way, and may lead out of its folder with .. or a whole path', async () => {
    const root = await folderOf({ 'photos/1.png': 'one', 'photos/2.png': 'two' });
    const text = `path,label\n.//x/../a.png,a\n../photos/1.png,b\n${join(root, 'photos/2.png')},c\n`;
    await mkdir(join(root, 'lists'));
    await writeFile(join(root, 'lists/l.csv'), text);
    const images = await listed(await openDataset(join(root, 'lists/l.csv'), train));
    expect(images.map(({ id }) => id)).toEqual(['a.png', '../photos/1.png', '../photos/2.png']);
    for (const image of images.slice(1)) await expect(image.read()).resolves.toMatchObject({ kind: 'file' });
  });

  it.each([
    [
      'an empty label',
      'path,label\na.png,cat\nb.png,\n',
      /line 3 of .* a path and a label but received no label$/,
    ],
    ['an empty path', 'path,label\n,cat\n', /line 2 of .* received no path$/],
    ['no label column', 'path,class\na.png,cat\n', /line 2 of .* received no label$/],
    ['no header', 'a.png,cat\nb.png,dog\n', /line 2 of .* received no path$/],
    [
      'a field too many',
      'path,label\na.png,cat\nb.png,dog,9\n',
      /line 3 of .* a row of comma-separated values/,
    ],
    ['a field too few', 'path,label\na.png\n', /line 2 of /],
    [
      'a quote left open',
      'path,label\n"a.png,cat\nb.png,dog\n',
      /line \d+ of .* a row of comma-separated values/,
    ],
    [
      'a path twice',
      'path,label\na.png,cat\nb.png,dog\n./a.png,dog\n',
      /line 4 of .* that of line 2: a\.png$/,
    ],
    ['a header only', 'path,label\n', /received none$/],
    ['nothing', '', /received none$/],
  ])('is invalid with %s, and says where', async (_what, text, message) => {
    await expect(openList('l.csv', text)).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: expect.stringMatching(message) as string,
    });
  });

  it('does not take an endless field into memory', async () => {
    const text = `path,label\n"${'a.png,cat\n'.repeat(200_000)}`;
    await expect(openList('l.csv', text)).rejects.toMatchObject({ code: 'dataset_invalid' });
  });
});

describe('a .jsonl list', () => {
  it('gives path and label in its own order', async () => {
    const text =
      '\ufeff{"path": "a.png", "label": "cat"}\r\n\n{"label": "big dog", "path": "b c.png", "split": 1}';
    expect(await pairs('l.jsonl', text)).toEqual([
      ['a.png', 'cat'],
      ['b c.png', 'big dog'],
    ]);
  });

  it('keeps a line separator that JSON allows within a string', async () => {
    expect(await pairs('l.jsonl', '{"path": "a\u2028b.png", "label": "x"}\n')).toEqual([
      ['a\u2028b.png', 'x'],
    ]);
  });

  it('reads lines that no single piece of the file holds', async () => {
    const rows = Array.from({ length: 5000 }, (_, i) => [`é-${i}-${'x'.repeat(50)}.png`, `label ${i % 7}`]);
    const text = rows.map(([path, label]) => JSON.stringify({ path, label })).join('\n');
    expect(await pairs('l.jsonl', text)).toEqual(rows);
  });

  it.each([
    ['what is no JSON', '{"path": "a.png", "label": "x"}\n{path: b}\n', /line 2 of .* but received: /],
    ['another type', '{"path": 7, "label": "x"}\n', /line 1 of .* received no path$/],
    ['a list', '["a.png", "x"]\n', /line 1 of .* received no object$/],
    ['null', 'null\n', /line 1 of .* received no object$/],
    [
      'a path twice',
      '{"path":"a","label":"x"}\n\n{"path":"./a","label":"x"}\n',
      /line 3 of .* that of line 1: a$/,
    ],
    ['nothing', '\n\n', /received none$/],
  ])('is invalid with %s, and says where', async (_what, text, message) => {
    await expect(openList('l.jsonl', text)).rejects.toMatchObject({
      code: 'dataset_invalid',
      message: expect.stringMatching(message) as string,
    });
  });

  it('is no list where the name belongs to a folder', async () => {
    const root = await folderOf();
    await mkdir(join(root, 'l.jsonl'));
    await expect(openDataset(join(root, 'l.jsonl'), train)).rejects.toMatchObject({
      code: 'dataset_invalid',
    });
  });
});
