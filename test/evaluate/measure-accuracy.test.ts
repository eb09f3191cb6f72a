import { describe, expect, it } from 'vitest';
import { measureAccuracy, type AccuracyOptions } from '../../src/evaluate/measure-accuracy.js';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import type { Searcher } from '../../src/neighbours/searcher.js';
import { onCircle } from '../neighbours/unit-vectors.js';

const circle = (degrees: readonly number[]): Promise<Searcher> =>
  createExactSearcher({ embeddings: onCircle(degrees), threads: 1 });

/** North at 0, 10 and 20 degrees, east at 80 and 100, one stray east at 4. */
const degrees = [0, 10, 20, 80, 100, 4];
const labels = ['north', 'north', 'north', 'east', 'east', 'east'];
const examples = labels.map((label, i) => ({ id: `${i}`, label, source: `${i}` }));

async function run(options: Partial<AccuracyOptions> = {}): ReturnType<typeof measureAccuracy> {
  return measureAccuracy({
    queries: onCircle([1, 5, 90, 85]),
    truths: ['north', 'north', 'east', 'north'],
    examples,
    hnsw: undefined,
    exact: await circle(degrees),
    vote: { rule: 'majority', temperature: 1 },
    k: 3,
    ks: [1, 3, 200],
    ...options,
  });
}

describe('evaluate', () => {
  it('gives the accuracies that the circle gives, k clamped to the index', async () => {
    const report = await run();
    // k = 1: 1 -> 0 north, 5 -> 4 east, 90 -> a tie of 80 and 100, both east, 85 -> 80 east. k = 6: three to three, and
    // the summed similarity decides: north for 1 and 5, east for 90 and 85.
    expect(report.accuracy).toEqual([
      { k: 1, hnsw: undefined, exact: 0.5 },
      { k: 3, hnsw: undefined, exact: 0.75 },
      { k: 6, hnsw: undefined, exact: 0.75 },
    ]);
    expect(report.served).toEqual({ k: 3, accuracy: 0.75 });
    expect(report.answers.map(({ label }) => label)).toEqual(['north', 'north', 'east', 'east']);
    expect(report.confusions).toEqual([{ truth: 'north', predicted: 'east', count: 1 }]);
    expect(report.indexRecall).toBeUndefined();
  });

  it('tells how much of what is near the served search misses', async () => {
    // A graph that has lost the rows at 80 and 100 degrees: it finds the others in their place.
    const lossy = await circle([0, 10, 20, -170, -160, 4]);
    const report = await run({ hnsw: lossy, queries: onCircle([0, 90]), truths: ['north', 'east'] });
    // At 0 degrees all three are right; at 90 of 80, 100 and 20 only the last is found.
    expect(report.indexRecall).toEqual({ k: 3, value: 4 / 6 });
    expect(report.accuracy.find(({ k }) => k === 3)).toMatchObject({ hnsw: 0.5, exact: 1 });
    expect(report.served.accuracy).toBe(0.5);
  });

  it('counts images that are in the index already', async () => {
    expect((await run()).duplicates).toBe(0);
    expect((await run({ queries: onCircle([0, 100, 50, 51]) })).duplicates).toBe(2);
  });

  it('searches as it is served at the served k and below, and anew above it', async () => {
    const exact = await circle(degrees);
    const asked: number[] = [];
    const hnsw: Searcher = {
      ...exact,
      kind: 'hnsw',
      search: (queries, k) => {
        asked.push(k);
        return exact.search(queries, k);
      },
    };
    await run({ hnsw, ks: [1, 2, 3, 5] });
    expect(asked).toEqual([3, 5]);
  });
});
