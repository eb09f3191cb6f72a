import { describe, expect, it } from 'vitest';
import {
  averageRetrieval,
  retrievalRecall,
  scoreRetrieval,
  type QueryRetrieval,
  type RankedQuery,
} from '../../../src/evaluate/metrics/retrieval.js';

const scoresOf = (queries: readonly RankedQuery[]): QueryRetrieval[] =>
  queries.map(scoreRetrieval).filter((one) => one !== undefined);

describe('retrieval of one query', () => {
  it('is worked by hand', () => {
    // R = 4: hits at 1, 3 and 4, and one at 6 that is too late; precision@1 = 1, @3 = 2/3, @4 = 3/4.
    const query = { label: 'a', neighbours: Array.from('abaaba'), sameLabel: 4 };
    expect(scoreRetrieval(query)).toEqual({
      precisionAt1: 1,
      rPrecision: 3 / 4,
      averagePrecisionAtR: expect.closeTo((1 + 2 / 3 + 3 / 4) / 4, 12) as number,
      firstHit: 1,
    });
  });

  it('is nothing where no neighbour has the label', () => {
    expect(scoreRetrieval({ label: 'a', neighbours: ['b', 'b'], sameLabel: 2 })).toEqual({
      precisionAt1: 0,
      rPrecision: 0,
      averagePrecisionAtR: 0,
      firstHit: Infinity,
    });
  });

  it('is left out for a lone query', () => {
    expect(scoreRetrieval({ label: 'a', neighbours: ['b'], sameLabel: 0 })).toBeUndefined();
  });

  it('refuses fewer neighbours than share the label', () => {
    expect(() => scoreRetrieval({ label: 'a', neighbours: ['a'], sameLabel: 2 })).toThrow('at least 2');
  });
});

/*
 * pytorch-metric-learning could not be installed where this was written: these are the formulas of its
 * accuracy_calculator.py in numpy 1.24.2.
 *   def scores(knn, query, counts, same_source):  # knn: labels, nearest first; counts: references of each label
 *       keep = np.array([counts.get(q, 0) - same_source > 0 for q in query])
 *       knn, query = knn[keep], query[keep]
 *       R = np.array([counts[q] - same_source for q in query])
 *       hit = (knn == query[:, None]) & (np.arange(knn.shape[1])[None] < R[:, None])
 *       at = np.cumsum(hit, axis=1) / np.arange(1, knn.shape[1] + 1)
 *       return np.mean(knn[:, 0] == query), np.mean(hit.sum(1) / R), np.mean((at * hit).sum(1) / R)
 *   rng = np.random.default_rng(3)
 *   labels = np.array(list('aaaabbbbbccde'))
 *   x = rng.normal(size=(13, 3)) + 1.5 * np.eye(5)[['abcde'.index(l) for l in labels]][:, :3]
 *   x = np.round(x / np.linalg.norm(x, axis=1, keepdims=True), 3)
 *   s = x @ x.T; np.fill_diagonal(s, -9)
 *   scores(labels[np.argsort(-s, axis=1, kind='stable')[:, :12]], labels, counts, 1)
 *   query = np.array(list('abcfd'))
 *   q = rng.normal(size=(5, 3)) + 1.5 * np.eye(6)[['abcdef'.index(l) for l in query]][:, :3]
 *   scores(labels[np.argsort(-(q @ x.T), axis=1, kind='stable')], query, counts, 0)
 */
describe('retrieval averages', () => {
  const counts: Readonly<Record<string, number>> = { a: 4, b: 5, c: 2, d: 1, e: 1 };
  const itself = [
    ...['aaadcbbcabbbe', 'aaadbbacbcbbe', 'aebbabaabcbcd', 'aaabbdbbbccae', 'bbeabbbaaadcc', 'bbbbbeadaccaa'],
    ...['bbbabdbaaceca', 'bbbabbdaaeacc', 'bbccbdbebaaaa', 'ccdbababeabab', 'ccbdeabbaabab', 'dcababcabbbea'],
    'eabbbcbcbdaaa',
  ];
  const others = ['abccdbbebaabaa', 'bebbbcabbcdaaa', 'cbccdbbbaeabaa', 'fbbbbbaedaacca', 'dbecbcbbdabaaa'];
  const ranked = (rows: readonly string[], selves: number): RankedQuery[] =>
    rows.map((row) => ({
      label: row.slice(0, 1),
      neighbours: Array.from(row.slice(1)),
      sameLabel: (counts[row.slice(0, 1)] ?? selves) - selves,
    }));

  it('are those of pytorch-metric-learning for a set against itself, its two lone labels left out', () => {
    const scores = scoresOf(ranked(itself, 1));
    const averages = averageRetrieval(scores);
    expect(averages.queries).toBe(11);
    expect(averages.precisionAt1).toBeCloseTo(0.9090909090909091, 12);
    expect(averages.rPrecision).toBeCloseTo(0.6818181818181818, 12);
    expect(averages.mapAtR).toBeCloseTo(0.6477272727272727, 12);
    expect([1, 2, 5].map((k) => retrievalRecall(scores, k))).toEqual([10 / 11, 10 / 11, 1]);
  });

  it('are those of pytorch-metric-learning against other references, a label they lack left out', () => {
    const scores = scoresOf(ranked(others, 0));
    const averages = averageRetrieval(scores);
    expect(averages.queries).toBe(4);
    expect(averages.precisionAt1).toBe(0);
    expect(averages.rPrecision).toBeCloseTo(0.275, 12);
    expect(averages.mapAtR).toBeCloseTo(0.15833333333333333, 12);
    expect([1, 2, 5].map((k) => retrievalRecall(scores, k))).toEqual([0, 0.5, 0.5]);
  });

  it('are NaN where every query is lone', () => {
    expect(averageRetrieval([])).toEqual({ queries: 0, precisionAt1: NaN, rPrecision: NaN, mapAtR: NaN });
  });
});
