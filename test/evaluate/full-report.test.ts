import { describe, expect, it } from 'vitest';
import { fullReport, type FullReport } from '../../src/evaluate/full-report.js';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import { voteRules } from '../../src/vote/rules.js';
import { onCircle } from '../neighbours/unit-vectors.js';

/** North at 0, 10 and 20 degrees, east at 80 and 100, one stray east at 4. */
const degrees = [0, 10, 20, 80, 100, 4];
const examples = ['north', 'north', 'north', 'east', 'east', 'east'].map((label, i) => ({
  id: `${i}`,
  label,
  source: `${i}`,
}));
const silent = { start: () => undefined, advance: () => undefined, finish: () => undefined };

async function report(queries: readonly number[], truths: readonly string[]): Promise<FullReport> {
  return fullReport({
    queries: onCircle(queries),
    truths,
    examples,
    hnsw: undefined,
    exact: await createExactSearcher({ embeddings: onCircle(degrees), threads: 1 }),
    vote: { rule: 'majority', temperature: 1 },
    k: 3,
    ks: [1, 3],
    seed: 0,
    progress: silent,
  });
}

const near = (value: number): number => expect.closeTo(value, 9) as number;
// Wilson's z is 1.96: four of four leave doubt down to n / (n + z^2), two of four reach z / 2 sqrt(n + z^2) either way.
const square = 1.959963984540054 ** 2;
const fourOfFour = { low: near(4 / (4 + square)), high: 1 };
const reach = Math.sqrt(square / (4 + square)) / 2;
const twoOfFour = { low: near(0.5 - reach), high: near(0.5 + reach) };

describe('the full report, on a circle', () => {
  const onFour = report([1, 5, 90, 85], ['north', 'north', 'east', 'north']);

  it('has the retrieval figures that the angles give', async () => {
    // Ranked labels, R = 3: 1 degree n e n, 5 degrees e n n, 90 degrees e e n, 85 degrees e e n.
    expect((await onFour).retrieval).toEqual({
      queries: 4,
      lone: 0,
      precisionAt1: 0.5,
      rPrecision: near((2 / 3 + 2 / 3 + 2 / 3 + 1 / 3) / 4),
      mapAtR: near(((1 + 2 / 3) / 3 + (1 / 2 + 2 / 3) / 3 + (1 + 1) / 3 + 1 / 3 / 3) / 4),
      recall: [
        { k: 1, value: 0.5, interval: twoOfFour },
        { k: 5, value: 1, interval: fourOfFour },
        { k: 10, value: 1, interval: fourOfFour },
      ],
    });
  });

  it('has the probability figures that four votes of two thirds give, three of them right', async () => {
    const { ece, brier, nll } = (await onFour).probability;
    expect(ece).toBeCloseTo(3 / 4 - 2 / 3, 9);
    expect(brier).toBeCloseTo((3 * (2 / 9) + 8 / 9) / 4, 9);
    expect(nll).toBeCloseTo((3 * Math.log(3 / 2) + Math.log(3)) / 4, 9);
  });

  it('has the band in which the ECE of four votes of two thirds would lie, were they right as often', async () => {
    const { nullBand } = (await onFour).probability;
    // Of four, r right: |r / 4 - 2 / 3| is 1 / 12 at the least, with r = 3, and 2 / 3 at the most, with a chance of 1 in 81 for none.
    expect(nullBand).toEqual({ low: near(3 / 4 - 2 / 3), high: near(5 / 12) });
  });

  it('has the agreement of two heaps of two with labels of three and one', async () => {
    const labels = -(0.75 * Math.log(0.75) + 0.25 * Math.log(0.25));
    const mutual = labels - 0.5 * Math.LN2;
    const { clusters, images, nmi } = (await onFour).clusters;
    expect({ clusters, images }).toEqual({ clusters: 2, images: 4 });
    expect(nmi).toBeCloseTo(mutual / ((labels + Math.LN2) / 2), 9);
  });

  it('has confusions, precision, recall and F1 of the served answers', async () => {
    const { confusion, classes, macro, top5 } = await onFour;
    expect(confusion).toEqual({
      labels: ['east', 'north'],
      counts: [
        [1, 0],
        [1, 2],
      ],
    });
    expect(classes).toEqual([
      { label: 'east', count: 1, precision: 0.5, recall: 1, f1: near(2 / 3) },
      { label: 'north', count: 3, precision: 1, recall: near(2 / 3), f1: near(0.8) },
    ]);
    expect(macro.f1).toBeCloseTo((2 / 3 + 0.8) / 2, 9);
    // Both labels got votes everywhere.
    expect(top5).toBe(1);
  });

  it('has every rule at every k', async () => {
    const { rules } = await onFour;
    expect(rules.map(({ k }) => k)).toEqual([1, 3]);
    for (const row of rules) expect(row.rules.map(({ rule }) => rule)).toEqual(voteRules);
    // With one neighbour every rule says the same.
    expect(new Set(rules[0]?.rules.map(({ accuracy }) => accuracy))).toEqual(new Set([0.5]));
  });

  it('has intervals that hold their figures, the same ones for the same seed', async () => {
    const first = await onFour;
    const again = await report([1, 5, 90, 85], ['north', 'north', 'east', 'north']);
    expect(again.intervals).toEqual(first.intervals);
    expect(first.intervals.accuracy.low).toBeLessThan(0.75);
    expect(first.intervals.accuracy.high).toBeGreaterThan(0.75);
    expect(first.intervals.top5).toEqual(fourOfFour);
    const { ece, macroPrecision, macroRecall } = first.intervals;
    for (const [{ low, high }, figure] of [
      [ece, first.probability.ece],
      [macroPrecision, first.macro.precision],
      [macroRecall, first.macro.recall],
      [first.clusters.intervals.nmi, first.clusters.nmi],
    ] as const) {
      expect(low).toBeLessThanOrEqual(figure);
      expect(high).toBeGreaterThanOrEqual(figure);
    }
  });

  it('leaves an image whose label no example has out of retrieval, and counts it as a mistake', async () => {
    const lone = await report([1, 5, 90, 85, 180], ['north', 'north', 'east', 'north', 'west']);
    expect(lone.retrieval).toEqual({ ...(await onFour).retrieval, lone: 1 });
    expect(lone.served.accuracy).toBeCloseTo(3 / 5, 9);
    expect(lone.confusion.labels).toContain('west');
  });
});
