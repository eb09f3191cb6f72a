import { describe, expect, it } from 'vitest';
import { candidatePairs, nearPairs } from '../../src/audit/duplicates.js';
import { clusters } from '../../src/audit/find-duplicates.js';
import { numberLabels } from '../../src/audit/labelling.js';
import type { Embeddings } from '../../src/domain/embeddings.js';
import type { NearestRows } from '../../src/neighbours/searcher.js';
import { nearestByLoop, onCircle } from '../neighbours/unit-vectors.js';

/** The others of every row, by a double loop. */
function othersByLoop(embeddings: Embeddings, k: number): NearestRows {
  const found = nearestByLoop(embeddings, embeddings, embeddings.count).map(({ rows, similarities }, own) => {
    const others = rows.flatMap((row, i) =>
      row === own ? [] : [{ row, similarity: similarities[i] ?? NaN }],
    );
    return others.slice(0, k);
  });
  return {
    count: embeddings.count,
    k,
    rows: Int32Array.from(found.flat(), ({ row }) => row),
    similarities: Float32Array.from(found.flat(), ({ similarity }) => similarity),
  };
}

function duplicatesOf(angles: readonly number[]) {
  const lists = othersByLoop(onCircle(angles), Math.min(10, angles.length - 1));
  const labelling = numberLabels(angles.map(() => 'a'));
  const options = { lists, ofRows: lists, labelling };
  return nearPairs({ ...options, pairs: candidatePairs(options) });
}

const evenly = Array.from({ length: 24 }, (_, i) => i * 15);

describe('duplicates by embedding', () => {
  it('are none among points that lie evenly, however close', () => {
    expect(duplicatesOf(evenly)).toEqual([]);
    expect(duplicatesOf(evenly.map((angle) => angle / 10))).toEqual([]);
  });

  it('are found at a cosine of 1, each pair once', () => {
    const found = duplicatesOf([...evenly, 45]);
    expect(found.map(({ a, b }) => [a, b])).toEqual([[3, 24]]);
  });

  it('are near well below the usual distance to the nearest, and to the 10th neighbour', () => {
    // Points at 0, 15, 30 ...: 1 - cos(15) = 0.034 is usual, and half of it is 10.6 degrees. The 10th is 75 away.
    const beside = (gap: number) => duplicatesOf([...evenly, gap]).map(({ a, b }) => [a, b]);
    expect(beside(4)).toEqual([[0, 24]]);
    expect(beside(7.5)).toEqual([
      [0, 24],
      [1, 24],
    ]);
  });

  it('are judged by the last neighbour where there are fewer than ten', () => {
    expect(duplicatesOf([0, 8, 16, 24])).toEqual([]);
    expect(duplicatesOf([0, 2, 40, 80]).map(({ a, b }) => [a, b])).toEqual([[0, 1]]);
  });

  it('across two sets are pairs of a query and a row', () => {
    const rows = onCircle(evenly);
    const queries = onCircle([30, 97]);
    const found = nearestByLoop(rows, queries, 10);
    const lists: NearestRows = {
      ...{ count: 2, k: 10 },
      rows: Int32Array.from(found.flatMap((one) => one.rows)),
      similarities: Float32Array.from(found.flatMap((one) => one.similarities)),
    };
    const labelling = numberLabels(evenly.map(() => 'a'));
    const options = { lists, ofRows: othersByLoop(rows, 10), labelling };
    const pairs = nearPairs({ ...options, pairs: candidatePairs(options) });
    expect(pairs.filter(({ similarity }) => similarity > 0.99999).map(({ a, b }) => [a, b])).toEqual([
      [0, 2],
    ]);
  });
});

describe('clusters', () => {
  it('join what links join, in order, whatever the order of the links', () => {
    const links = [
      { a: 7, b: 9 },
      { a: 2, b: 3 },
      { a: 3, b: 9 },
      { a: 5, b: 6 },
    ];
    const expected = [
      [2, 3, 7, 9],
      [5, 6],
    ];
    expect(clusters(links)).toEqual(expected);
    expect(clusters(links.toReversed())).toEqual(expected);
    expect(clusters([])).toEqual([]);
  });
});
