import { describe, expect, it } from 'vitest';
import { searchOthers } from '../../src/audit/search-others.js';
import { queriesOf } from '../../src/neighbours/recall.js';
import { nearestByLoop, onCircle, randomUnitRows } from '../neighbours/unit-vectors.js';

const quiet = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const search = { threads: 1, progress: quiet };

describe('searching for others', () => {
  it('finds what a double loop finds, each row without itself', async () => {
    const embeddings = randomUnitRows(60, 8);
    const found = await searchOthers({ ...search, embeddings, k: 7 });
    for (const [row, { rows }] of nearestByLoop(embeddings, embeddings, 60).entries()) {
      const others = rows.filter((other) => other !== row).slice(0, 7);
      expect([...found.rows.subarray(row * 7, (row + 1) * 7)]).toEqual(others);
    }
  });

  it('never finds the row itself, though it has more copies than k', async () => {
    const found = await searchOthers({ ...search, embeddings: onCircle([30, 30, 30, 30, 30]), k: 2 });
    expect(found.k).toBe(2);
    for (let row = 0; row < 5; row++) {
      const others = [...found.rows.subarray(row * 2, row * 2 + 2)];
      expect(others).not.toContain(row);
      expect(new Set(others).size).toBe(2);
    }
  });

  it('looks among given rows only, in the numbering of the whole', async () => {
    const embeddings = onCircle([0, 10, 20, 30, 40, 52]);
    const among = Int32Array.of(1, 4, 5);
    const own = await searchOthers({ ...search, embeddings, among, k: 2 });
    expect([...own.rows]).toEqual([1, 4, 4, 5, 1, 4, 4, 1, 5, 1, 4, 1]);
    const queries = queriesOf(embeddings, Int32Array.of(3));
    const other = await searchOthers({ ...search, embeddings, among, queries, k: 9 });
    expect([...other.rows]).toEqual([4, 1, 5]);
  });

  it('searches more rows than go into one product', async () => {
    const embeddings = randomUnitRows(2500, 4);
    const found = await searchOthers({ ...search, embeddings, k: 1 });
    const expected = nearestByLoop(embeddings, queriesOf(embeddings, Int32Array.of(0, 1024, 2499)), 2);
    expect([0, 1024, 2499].map((row) => found.rows[row])).toEqual(expected.map(({ rows }) => rows[1]));
  });
});
