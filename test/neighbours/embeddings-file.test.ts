import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { littleEndianBytes } from '../../src/files/float32.js';
import { readEmbeddingsFile } from '../../src/neighbours/embeddings-file.js';
import { randomUnitRows } from './unit-vectors.js';

describe('embeddings.f32', () => {
  let path = '';
  beforeAll(async () => {
    path = join(await mkdtemp(join(tmpdir(), 'nearvote-embeddings-')), 'embeddings.f32');
  });
  afterAll(() => rm(join(path, '..'), { recursive: true }));

  it('comes back as it was written', async () => {
    const { values, count, dimension } = randomUnitRows(70, 12, 5);
    await writeFile(path, littleEndianBytes(values));
    expect((await readEmbeddingsFile({ path, count, dimension })).values).toEqual(values);
  });

  // A sparse file: zeros take no room on the disk. They are not of unit length, which is found out only once all is read.
  it('is read where it holds more than 2 GiB', async () => {
    const [count, dimension] = [132_000, 4_096];
    const file = await open(path, 'w');
    await file.truncate(count * dimension * 4);
    await file.close();
    await expect(readEmbeddingsFile({ path, count, dimension })).rejects.toMatchObject({
      code: 'index_invalid',
      message: expect.stringMatching(/^embeddings\.f32: .*length/) as string,
    });
  }, 60_000);
});
