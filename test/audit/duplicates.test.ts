import { describe, expect, it } from 'vitest';
import { candidatePairs, duplicatePairs, pixelCorrelation, type Pair } from '../../src/audit/duplicates.js';
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

function duplicatesOf(angles: readonly number[], correlation?: (pair: Pair) => number | undefined) {
  const lists = othersByLoop(onCircle(angles), Math.min(10, angles.length - 1));
  const labelling = numberLabels(angles.map(() => 'a'));
  const options = { lists, ofRows: lists, labelling };
  return duplicatePairs({ ...options, pairs: candidatePairs(options), correlation });
}

const evenly = Array.from({ length: 24 }, (_, i) => i * 15);

describe('duplicates by embedding', () => {
  it('are none among points that lie evenly, however close', () => {
    expect(duplicatesOf(evenly)).toEqual([]);
    expect(duplicatesOf(evenly.map((angle) => angle / 10))).toEqual([]);
  });

  it('are the same at a cosine of 1, each pair once', () => {
    const found = duplicatesOf([...evenly, 45]);
    expect(found.map(({ a, b, kind }) => ({ a, b, kind }))).toEqual([{ a: 3, b: 24, kind: 'same' }]);
  });

  it('are near well below the usual distance to the nearest, and to the 10th neighbour', () => {
    // Points at 0, 15, 30 ...: 1 - cos(15) = 0.034 is usual, and half of it is 10.6 degrees. The 10th is 75 away.
    const beside = (gap: number) => duplicatesOf([...evenly, gap]).map(({ a, b, kind }) => [a, b, kind]);
    expect(beside(4)).toEqual([[0, 24, 'near']]);
    expect(beside(7.5)).toEqual([
      [0, 24, 'near'],
      [1, 24, 'near'],
    ]);
  });

  it('are judged by the last neighbour where there are fewer than ten', () => {
    expect(duplicatesOf([0, 8, 16, 24])).toEqual([]);
    expect(duplicatesOf([0, 2, 40, 80]).map(({ a, b }) => [a, b])).toEqual([[0, 1]]);
  });

  it('are confirmed by pixels that correlate and refuted by pixels that do not', () => {
    const loose = [...evenly.slice(0, 12), 3];
    const pair = (correlation: number) =>
      duplicatesOf(loose, ({ a, b }) => (a === 0 && b === 12 ? correlation : 0)).map(({ a, b }) => [a, b]);
    expect(pair(0.95)).toEqual([[0, 12]]);
    expect(pair(0.1)).toEqual([]);
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
    const pairs = duplicatePairs({ ...options, pairs: candidatePairs(options) });
    expect(pairs.filter(({ kind }) => kind === 'same').map(({ a, b }) => [a, b])).toEqual([[0, 2]]);
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

describe('pixel correlation', () => {
  const ramp = Uint8Array.of(0, 0, 0, 10, 10, 10, 20, 20, 20);

  it('is 1 for the same picture brighter and stronger, -1 for its negative', () => {
    expect(
      pixelCorrelation(
        ramp,
        ramp.map((value) => 3 * value + 40),
      ),
    ).toBeCloseTo(1, 12);
    expect(
      pixelCorrelation(
        ramp,
        ramp.map((value) => 20 - value),
      ),
    ).toBeCloseTo(-1, 12);
  });

  it('is 0 for patterns that have nothing in common, though their colour is one', () => {
    const up = Uint8Array.of(200, 0, 0, 210, 0, 0, 210, 0, 0, 200, 0, 0);
    const across = Uint8Array.of(200, 0, 0, 210, 0, 0, 200, 0, 0, 210, 0, 0);
    expect(pixelCorrelation(up, across)).toBeCloseTo(0, 12);
  });

  it('compares even pictures by their colour', () => {
    const grey = new Uint8Array(12).fill(100);
    expect(pixelCorrelation(grey, new Uint8Array(12).fill(101))).toBe(1);
    expect(pixelCorrelation(grey, new Uint8Array(12).fill(110))).toBe(0);
  });
});
