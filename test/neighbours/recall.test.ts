import { describe, expect, it } from 'vitest';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import { indexRecall, neighboursOf, queriesOf, searchBeside } from '../../src/neighbours/recall.js';
import type { NearestRows } from '../../src/neighbours/searcher.js';
import { onCircle, randomUnitRows } from './unit-vectors.js';

/** Rows with their similarities, one list a query. */
function nearest(lists: readonly (readonly (readonly [row: number, similarity: number])[])[]): NearestRows {
  const pairs = lists.flat();
  return {
    count: lists.length,
    k: lists[0]?.length ?? 0,
    rows: Int32Array.from(pairs, ([row]) => row),
    similarities: Float32Array.from(pairs, ([, similarity]) => similarity),
  };
}

describe('index recall', () => {
  it('leaves the query itself out and counts what the graph missed', () => {
    const exact = nearest([
      [
        [7, 1],
        [1, 0.9],
        [2, 0.8],
      ],
      [
        [8, 1],
        [3, 0.9],
        [4, 0.8],
      ],
    ]);
    const found = nearest([
      [
        [7, 1],
        [1, 0.9],
        [5, 0.5],
      ],
      [
        [3, 0.9],
        [4, 0.8],
        [6, 0.1],
      ],
    ]);
    // First query: one of two. Second: both, though the graph missed the query itself.
    expect(indexRecall({ queryRows: Int32Array.of(7, 8), found, exact })).toEqual({
      k: 2,
      queries: 2,
      value: 0.75,
    });
  });

  it('takes any neighbour within 1e-5 of the exact k-th for a hit', () => {
    const exact = nearest([
      [
        [0, 1],
        [1, 0.9],
        [2, 0.9],
      ],
    ]);
    const twin = nearest([
      [
        [0, 1],
        [8, 0.9 - 5e-6],
        [9, 0.9],
      ],
    ]);
    const near = nearest([
      [
        [0, 1],
        [8, 0.9 - 2e-5],
        [9, 0.9],
      ],
    ]);
    const queryRows = Int32Array.of(0);
    expect(indexRecall({ queryRows, found: twin, exact }).value).toBe(1);
    expect(indexRecall({ queryRows, found: near, exact }).value).toBe(0.5);
  });

  it('leaves the query out where duplicates push it past the end', () => {
    const list = nearest([
      [
        [1, 1],
        [2, 1],
        [3, 1],
      ],
    ]);
    expect(neighboursOf(list, 0, 9).map(({ row }) => row)).toEqual([1, 2]);
  });

  it('is 1 for exact search against itself, and for an index of one', async () => {
    const embeddings = randomUnitRows(40, 8);
    const searcher = await createExactSearcher({ embeddings, threads: 1 });
    const queryRows = Int32Array.of(3, 30, 9);
    const found = await searchBeside(searcher, queriesOf(embeddings, queryRows), 20);
    expect(found.k).toBe(21);
    expect(indexRecall({ queryRows, found, exact: found })).toEqual({ k: 20, queries: 3, value: 1 });
    await searcher.close();
    const one = await createExactSearcher({ embeddings: onCircle([5]), threads: 1 });
    const alone = await searchBeside(one, onCircle([5]), 20);
    expect(indexRecall({ queryRows: Int32Array.of(0), found: alone, exact: alone }).value).toBe(1);
    await one.close();
  });
});
