import { describe, expect, it } from 'vitest';
import { answersOf } from '../../src/evaluate/measure-accuracy.js';
import { unknownReport, type UnknownReport } from '../../src/evaluate/measure-unknown.js';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import { onCircle } from '../neighbours/unit-vectors.js';

const labels = ['north', 'north', 'east', 'east'];
const examples = labels.map((label, i) => ({ id: `${i}`, label, source: `${i}` }));
const vote = { rule: 'majority', temperature: 1 } as const;

async function report(known: readonly number[], unknown: readonly number[]): Promise<UnknownReport> {
  const served = await createExactSearcher({ embeddings: onCircle([0, 10, 80, 90]), threads: 1 });
  const found = await served.search(onCircle(known), 2);
  return unknownReport({
    known: answersOf({ found, examples }, 2, vote),
    unknown: onCircle(unknown),
    examples,
    served,
    k: 2,
    vote,
    seed: 0,
  });
}

const ruleOf = ({ rules }: UnknownReport, name: string): UnknownReport['rules'][number] | undefined =>
  rules.find(({ rule }) => rule === name);

describe('telling unknown images', () => {
  it('is certain by similarity where they lie far off, though the vote is as sure of them', async () => {
    // Both neighbours of -100 and 190 degrees have one label, as those of every known image.
    const found = await report([1, 5, 85, 88], [-100, 190]);
    expect(found).toMatchObject({ images: 2, k: 2 });
    expect(ruleOf(found, 'similarity')).toMatchObject({ auroc: 1, aupr: 1, at95: { falsePositives: 0 } });
    expect(ruleOf(found, 'vote')).toMatchObject({ auroc: 0.5, at95: { falsePositives: 1 } });
  });

  it('is told by the vote where neighbours of two labels are equally near', async () => {
    // At 45 degrees the neighbours at 10 and 80 are of two labels: a vote of one half.
    const found = await report([1, 5, 85, 88], [45]);
    expect(ruleOf(found, 'vote')).toMatchObject({ auroc: 1, at95: { threshold: 1 } });
  });

  it('takes similarity to the k-th neighbour, not to the first', async () => {
    // k = 2: 5 degrees has its second neighbour 5 off, -4 its second 14 off, -3 its second 13 off; by the first all are nearer.
    const found = await report([5], [-4, -3]);
    expect(ruleOf(found, 'similarity')?.auroc).toBe(1);
    const threshold = ruleOf(found, 'similarity')?.at95.threshold ?? NaN;
    expect(threshold).toBeCloseTo(Math.cos((5 * Math.PI) / 180), 6);
  });

  it('has intervals around its figures', async () => {
    const found = await report([1, 5, 85, 20], [45, 30, 12]);
    const rule = ruleOf(found, 'similarity');
    const { auroc = NaN, aupr = NaN, at95, intervals } = rule ?? {};
    for (const [name, value] of Object.entries({
      auroc,
      aupr,
      falsePositives: at95?.falsePositives ?? NaN,
    })) {
      const { low, high } = intervals?.[name as 'auroc'] ?? { low: NaN, high: NaN };
      expect(low).toBeLessThanOrEqual(value);
      expect(high).toBeGreaterThanOrEqual(value);
      expect(high).toBeGreaterThan(low);
    }
  });
});
