import { describe, expect, it } from 'vitest';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import type { NearestRows } from '../../src/neighbours/searcher.js';
import { nearestByLoop, onCircle, randomUnitRows, unitRows } from './unit-vectors.js';

function rowsOf(found: NearestRows, query: number): number[] {
  return Array.from(found.rows.subarray(query * found.k, (query + 1) * found.k));
}

describe('exact search', () => {
  it.each([
    { chunkRows: undefined, chunkQueries: undefined },
    { chunkRows: 37, chunkQueries: 4 },
    { chunkRows: 5, chunkQueries: 1 },
    { chunkRows: 1, chunkQueries: 11 },
  ])(
    'finds what a double loop finds, in chunks of $chunkRows rows and $chunkQueries queries',
    async (chunks) => {
      const embeddings = randomUnitRows(101, 16);
      const queries = randomUnitRows(11, 16, 2);
      const searcher = await createExactSearcher({ embeddings, threads: 1, ...chunks });
      const found = await searcher.search(queries, 13);
      for (const [q, expected] of nearestByLoop(embeddings, queries, 13).entries()) {
        expect(rowsOf(found, q)).toEqual(expected.rows);
        for (const [i, similarity] of expected.similarities.entries()) {
          expect(found.similarities[q * 13 + i]).toBeCloseTo(similarity, 5);
        }
      }
      await searcher.close();
    },
  );

  it('orders neighbours by angle on a circle', async () => {
    const searcher = await createExactSearcher({ embeddings: onCircle([0, 90, 10, 180, 45]), threads: 1 });
    const found = await searcher.search(onCircle([2, 100]), 3);
    expect(rowsOf(found, 0)).toEqual([0, 2, 4]);
    expect(rowsOf(found, 1)).toEqual([1, 4, 3]);
    expect(found.similarities[0]).toBeCloseTo(Math.cos((2 * Math.PI) / 180), 6);
    await searcher.close();
  });

  it('keeps equal similarities in row order, across chunks too', async () => {
    const same = [3, 4, 0];
    const embeddings = unitRows([same, [0, 0, 1], same, same, [1, 0, 0], same, same]);
    for (const chunkRows of [1, 2, 3, 100]) {
      const searcher = await createExactSearcher({ embeddings, threads: 1, chunkRows });
      const found = await searcher.search(unitRows([same]), 4);
      expect(rowsOf(found, 0)).toEqual([0, 2, 3, 5]);
      await searcher.close();
    }
  });

  it('returns every row when k is the size, and nothing for no queries or k = 0', async () => {
    const embeddings = randomUnitRows(9, 4);
    const searcher = await createExactSearcher({ embeddings, threads: 1, chunkRows: 4 });
    const all = await searcher.search(randomUnitRows(1, 4, 3), 9);
    expect([...rowsOf(all, 0)].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    const none = { ...embeddings, count: 0, values: new Float32Array(0) };
    expect(await searcher.search(none, 3)).toMatchObject({ count: 0, rows: new Int32Array(0) });
    expect(await searcher.search(embeddings, 0)).toMatchObject({ count: 9, k: 0, rows: new Int32Array(0) });
    await searcher.close();
  });

  it('refuses a k beyond the index and embeddings of another dimension', async () => {
    const searcher = await createExactSearcher({ embeddings: randomUnitRows(5, 4), threads: 1 });
    await expect(searcher.search(randomUnitRows(1, 4), 6)).rejects.toMatchObject({
      code: 'k_too_large',
      message: 'Expected k to be at most 5, the size of the index, but received 6',
    });
    await expect(searcher.search(randomUnitRows(1, 8), 1)).rejects.toMatchObject({
      code: 'encoder_mismatch',
    });
    await searcher.close();
  });
});
