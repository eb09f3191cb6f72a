import { describe, expect, it } from 'vitest';
import { asEmbeddings } from '../../src/domain/embeddings.js';
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

  it.each([5, 150, 1_100])(
    'finds the same k = %i among 200 all but equal rows, whatever is asked beside',
    async (k) => {
      const base = randomUnitRows(1, 256, 9).values;
      const twins = Array.from({ length: 200 }, (_, i) =>
        Array.from(base, (value, at) => value * (1 + (at === i ? 1e-4 : 0))),
      );
      const others = Array.from({ length: 1_000 }, (_, i) => [...randomUnitRows(1, 256, 20 + i).values]);
      const embeddings = unitRows([...twins, ...others]);
      const searcher = await createExactSearcher({ embeddings, threads: 1 });
      const query = base;
      const expected = Array.from({ length: embeddings.count }, (_, row) => {
        const values = embeddings.values.subarray(row * 256, (row + 1) * 256);
        return { row, similarity: Math.fround(values.reduce((sum, v, i) => sum + v * (query[i] ?? NaN), 0)) };
      }).sort((a, b) => b.similarity - a.similarity || a.row - b.row);
      const beside = new Float32Array(64 * 256);
      for (let i = 0; i < 64; i++)
        beside.set(i === 40 ? query : randomUnitRows(1, 256, 3_000 + i).values, i * 256);
      const alone = await searcher.search(asEmbeddings(query, 256), k);
      const among = await searcher.search(asEmbeddings(beside, 256), k);
      const rows = expected.slice(0, k).map(({ row }) => row);
      expect([...alone.rows]).toEqual(rows);
      expect([...among.rows.subarray(40 * k, 41 * k)]).toEqual(rows);
      expect(among.similarities.subarray(40 * k, 41 * k)).toEqual(alone.similarities);
      await searcher.close();
    },
  );

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
