import { createHash } from 'node:crypto';
import { appendFile, mkdtemp, open, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openEmbeddingCache, type EmbeddingCache } from '../../src/build/embedding-cache.js';

const dimension = 3;
const recordBytes = 32 + 3 * 4 + 4;
const key = (i: number): Buffer => createHash('sha256').update(`${i}`).digest();
const embedding = (i: number): Float32Array => Float32Array.of(i, -i, 1 / (i + 1));

describe('the embedding cache', () => {
  let base = '';
  let dir = '';
  let made = 0;
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-cache-'));
  });
  afterAll(() => rm(base, { recursive: true }));
  beforeEach(() => {
    dir = join(base, `${made++}`);
  });

  const openCache = (encoderSha256 = 'a'.repeat(64)): EmbeddingCache =>
    openEmbeddingCache({ dir, encoderSha256, dimension });
  const file = async (): Promise<string> => join(dir, (await readdir(dir))[0] ?? '');

  function fill(count: number): void {
    const cache = openCache();
    for (let i = 0; i < count; i++) cache.set(key(i), embedding(i));
    cache.close();
  }

  it('gives back what was put in, at once and after it was closed', () => {
    const cache = openCache();
    for (let i = 0; i < 300; i++) {
      cache.set(key(i), embedding(i));
      expect(cache.get(key(i))).toEqual(embedding(i));
    }
    expect(cache.get(key(0))).toEqual(embedding(0));
    expect(cache.get(key(300))).toBeUndefined();
    cache.close();
    const again = openCache();
    expect(again.size).toBe(300);
    for (let i = 0; i < 300; i++) expect(again.get(key(i))).toEqual(embedding(i));
    again.close();
  });

  it('keeps one record of an image that is put in twice', async () => {
    const cache = openCache();
    cache.set(key(1), embedding(1));
    cache.set(key(1), embedding(1));
    cache.close();
    expect((await stat(await file())).size).toBe(recordBytes);
  });

  it('overwrites the record that a kill tore', async () => {
    fill(5);
    await truncate(await file(), 4 * recordBytes + 17);
    const cache = openCache();
    expect(cache.size).toBe(4);
    cache.set(key(9), embedding(9));
    cache.close();
    const again = openCache();
    expect(again.size).toBe(5);
    expect(again.get(key(3))).toEqual(embedding(3));
    expect(again.get(key(4))).toBeUndefined();
    expect(again.get(key(9))).toEqual(embedding(9));
    again.close();
  });

  it('passes over a record with a turned bit, and over zeros', async () => {
    fill(3);
    const handle = await open(await file(), 'r+');
    await handle.write(Uint8Array.of(77), 0, 1, recordBytes + 40);
    await handle.close();
    await appendFile(await file(), Buffer.alloc(2 * recordBytes));
    const cache = openCache();
    expect(cache.size).toBe(2);
    expect(cache.get(key(1))).toBeUndefined();
    cache.set(key(1), embedding(1));
    cache.close();
    const again = openCache();
    expect(again.get(key(1))).toEqual(embedding(1));
    again.close();
  });

  it('starts anew on a file that is no cache', async () => {
    fill(1);
    await writeFile(await file(), 'not a cache at all, only words that go on for some bytes more');
    const cache = openCache();
    expect(cache.size).toBe(0);
    cache.close();
  });

  it('keeps encoders apart', () => {
    fill(1);
    const other = openCache('b'.repeat(64));
    expect(other.get(key(0))).toBeUndefined();
    other.close();
  });

  it('takes no more once closed: an image may still be on its way', async () => {
    const cache = openCache();
    cache.close();
    for (let i = 0; i < 200; i++) cache.set(key(i), embedding(i));
    expect(cache.get(key(0))).toBeUndefined();
    cache.close();
    expect((await stat(await file())).size).toBe(0);
  });
});
