import { describe, expect, it } from 'vitest';
import { condense } from '../../src/audit/condense.js';
import type { NearestRows } from '../../src/neighbours/searcher.js';

/** Points on a line, and their k nearest to a place, by absolute distance. */
function nearestOnLine(
  points: readonly number[],
  place: number,
  { k, among }: { k: number; among: Int32Array },
) {
  return [...among]
    .sort((a, b) => Math.abs((points[a] ?? NaN) - place) - Math.abs((points[b] ?? NaN) - place) || a - b)
    .slice(0, k);
}

interface Line {
  readonly points: readonly number[];
  readonly labels: readonly string[];
  readonly places: readonly number[];
  readonly k: number;
}

/** Condenses a line on which the majority of the k nearest votes; asserts nothing. */
async function condenseLine({ points, labels, places, k }: Line) {
  const all = Int32Array.from(points, (_, row) => row);
  const voteOf = (rows: readonly number[]): string => {
    const forA = rows.filter((row) => labels[row] === 'a').length;
    return 2 * forA > rows.length ? 'a' : 'b';
  };
  const voteAll = (among: Int32Array): string[] =>
    places.map((place) => voteOf(nearestOnLine(points, place, { k, among })));
  const heldOut: NearestRows = {
    ...{ count: places.length, k },
    rows: Int32Array.from(places.flatMap((place) => nearestOnLine(points, place, { k, among: all }))),
    similarities: new Float32Array(places.length * k),
  };
  const votes = voteAll(all);
  const condensed = await condense({
    ...{ labels, heldOut, votes, order: all, startPerLabel: k },
    revote: (kept) => Promise.resolve(voteAll(kept)),
  });
  return { condensed, votes, after: voteAll(condensed.kept) };
}

describe('condensing', () => {
  const points = Array.from({ length: 100 }, (_, i) => i);

  it('keeps three of each of two clear halves', async () => {
    const labels = points.map((point) => (point < 50 ? 'a' : 'b'));
    const { condensed, votes, after } = await condenseLine({ points, labels, places: [5, 20, 60, 90], k: 3 });
    expect(after).toEqual(votes);
    expect(condensed.kept.length).toBe(6);
    expect([...condensed.kept, ...condensed.dropped].sort((a, b) => a - b)).toEqual(points);
  });

  it('gives back what votes need, until none changes', async () => {
    const labels = points.map((point) => (Math.floor(point / 20) % 2 === 0 ? 'a' : 'b'));
    const places = points.map((point) => point + 0.4);
    for (const k of [1, 3, 5]) {
      const { condensed, votes, after } = await condenseLine({ points, labels, places, k });
      expect(after).toEqual(votes);
      expect(condensed.dropped.length).toBeGreaterThan(0);
    }
  });

  it('keeps everything where a vote changes though all its voters are there', async () => {
    const condensed = await condense({
      labels: ['a', 'b', 'a'],
      order: Int32Array.of(0, 1, 2),
      startPerLabel: 1,
      heldOut: { count: 1, k: 1, rows: Int32Array.of(0), similarities: Float32Array.of(1) },
      votes: ['a'],
      revote: (kept) => Promise.resolve([kept.length < 3 ? 'b' : 'a']),
    });
    expect([...condensed.kept]).toEqual([0, 1, 2]);
    expect(condensed.dropped.length).toBe(0);
  });
});
