import { describe, expect, it } from 'vitest';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import { indexRecall, perturb, queriesOf, searchBeside, withoutOwn } from '../../src/neighbours/recall.js';
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
  it('leaves a row that asks for itself out', () => {
    const found = nearest([
      [
        [7, 1],
        [1, 0.9],
        [5, 0.5],
      ],
      [
        [3, 0.75],
        [4, 0.5],
        [6, 0.25],
      ],
    ]);
    // The second was not found by its own query.
    const others = withoutOwn(found, Int32Array.of(7, 8));
    expect([...others.rows]).toEqual([1, 5, 3, 4]);
    expect([...others.similarities].slice(1)).toEqual([0.5, 0.75, 0.5]);
    expect(others).toMatchObject({ k: 2, count: 2 });
  });

  it('counts what the graph missed', () => {
    const exact = nearest([
      [
        [1, 0.9],
        [2, 0.8],
      ],
      [
        [3, 0.9],
        [4, 0.8],
      ],
    ]);
    const found = nearest([
      [
        [1, 0.9],
        [5, 0.5],
      ],
      [
        [3, 0.9],
        [4, 0.8],
      ],
    ]);
    expect(indexRecall({ found, exact })).toEqual({ k: 2, queries: 2, value: 0.75 });
  });

  it('takes any neighbour within 1e-5 of the exact k-th for a hit', () => {
    const exact = nearest([
      [
        [1, 0.9],
        [2, 0.9],
      ],
    ]);
    const twin = nearest([
      [
        [8, 0.9 - 5e-6],
        [9, 0.9],
      ],
    ]);
    const near = nearest([
      [
        [8, 0.9 - 2e-5],
        [9, 0.9],
      ],
    ]);
    expect(indexRecall({ found: twin, exact }).value).toBe(1);
    expect(indexRecall({ found: near, exact }).value).toBe(0.5);
  });

  it('leaves the query out where duplicates push it past the end', () => {
    const list = nearest([
      [
        [1, 1],
        [2, 1],
        [3, 1],
      ],
    ]);
    expect([...withoutOwn(list, Int32Array.of(9)).rows]).toEqual([1, 2]);
  });

  it('is 1 for exact search against itself, and where there is nothing to miss', async () => {
    const embeddings = randomUnitRows(40, 8);
    const searcher = await createExactSearcher({ embeddings, threads: 1 });
    const queryRows = Int32Array.of(3, 30, 9);
    const found = await searchBeside(searcher, queriesOf(embeddings, queryRows), 20);
    expect(found.k).toBe(21);
    expect(indexRecall({ found, exact: found })).toEqual({ k: 21, queries: 3, value: 1 });
    await searcher.close();
    const one = await createExactSearcher({ embeddings: onCircle([5]), threads: 1 });
    const alone = withoutOwn(await searchBeside(one, onCircle([5]), 20), Int32Array.of(0));
    expect(indexRecall({ found: alone, exact: alone }).value).toBe(1);
    await one.close();
  });
});

describe('perturbed queries', () => {
  it('lie as far from each row as its nearest neighbour, and are the same for one seed', async () => {
    const embeddings = randomUnitRows(60, 64, 4);
    const searcher = await createExactSearcher({ embeddings, threads: 1 });
    const all = Int32Array.from({ length: 60 }, (_, row) => row);
    const neighbours = withoutOwn(await searchBeside(searcher, embeddings, 1), all);
    await searcher.close();
    const moved = perturb({ queries: embeddings, neighbours, seed: 3 });
    const dot = (a: Float32Array, b: Float32Array): number =>
      a.reduce((sum, v, i) => sum + v * (b[i] ?? NaN), 0);
    const row = (of: typeof moved, i: number): Float32Array => of.values.subarray(i * 64, (i + 1) * 64);
    for (const i of all) {
      const others = [...all].filter((j) => j !== i);
      const nearestOther = Math.max(...others.map((j) => dot(row(embeddings, i), row(embeddings, j))));
      expect(dot(row(embeddings, i), row(moved, i))).toBeCloseTo(nearestOther, 5);
    }
    expect(perturb({ queries: embeddings, neighbours, seed: 3 }).values).toEqual(moved.values);
    expect(perturb({ queries: embeddings, neighbours, seed: 4 }).values).not.toEqual(moved.values);
  });

  it('stay where they are among equals', () => {
    const queries = onCircle([10, 10]);
    const neighbours = nearest([[[1, 1]], [[0, 1 + 1e-7]]]);
    expect([...perturb({ queries, neighbours, seed: 1 }).values]).toEqual([...queries.values]);
  });
});
