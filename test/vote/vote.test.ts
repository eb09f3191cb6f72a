import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { LabelScore } from '../../src/domain/decision.js';
import { type Ballot, labelSharesOf, vote } from '../../src/vote/vote.js';
import { voteRules } from '../../src/vote/rules.js';

/** A neighbour placed at an angle from the query on the unit circle: its cosine is its similarity. */
const at = (label: string, degrees: number): Ballot => ({
  label,
  similarity: Math.cos((degrees * Math.PI) / 180),
});

const anyBallots = fc.array(
  fc.record({
    label: fc.constantFrom('a', 'b', 'c', 'd'),
    similarity: fc.double({ min: -1, max: 1, noNaN: true }),
  }),
  { minLength: 1, maxLength: 200 },
);
const anyRule = fc.constantFrom(...voteRules);
const share = fc.double({ min: 0.001, max: 1, noNaN: true });
const anyPriors = fc
  .tuple(share, share, share, share)
  .map((shares) => new Map(shares.map((one, i) => ['abcd'[i] ?? '', one])));
const anyOptions = fc.record({
  rule: anyRule,
  temperature: fc.double({ min: 0.01, max: 10, noNaN: true }),
  priors: fc.option(anyPriors, { nil: undefined }),
});

describe('vote', () => {
  it('counts heads under majority', () => {
    const scores = vote([at('a', 0), at('b', 60), at('b', 60)], { rule: 'majority', temperature: 1 });
    expect(scores.map((s) => s.label)).toEqual(['b', 'a']);
    expect(scores[0]?.score).toBeCloseTo(2 / 3, 12);
  });

  it('weighs by cosine under similarity', () => {
    // cos 0 = 1 against 2 cos 60 = 1: b's second vote at 59 degrees tips it.
    const scores = vote([at('a', 0), at('b', 60), at('b', 59)], { rule: 'similarity', temperature: 1 });
    const b = 0.5 + Math.cos((59 * Math.PI) / 180);
    expect(scores[0]?.label).toBe('b');
    expect(scores[0]?.score).toBeCloseTo(b / (1 + b), 12);
  });

  it('weighs by exp(s / T) under softmax', () => {
    const temperature = 0.5;
    const scores = vote([at('a', 0), at('b', 60), at('b', 60)], { rule: 'softmax', temperature });
    const a = Math.exp(1 / temperature);
    const b = 2 * Math.exp(0.5 / temperature);
    expect(scores).toEqual([
      { label: 'a', score: expect.closeTo(a / (a + b), 12) as number },
      { label: 'b', score: expect.closeTo(b / (a + b), 12) as number },
    ]);
  });

  it('gives neighbours pointing away no weight under similarity, unless all point away', () => {
    const options = { rule: 'similarity', temperature: 1 } as const;
    expect(vote([at('a', 10), at('b', 120)], options)[0]).toEqual({ label: 'a', score: 1 });
    expect(vote([at('a', 120), at('b', 100), at('b', 170)], options)[0]?.label).toBe('b');
  });

  it('does not overflow at a tiny temperature', () => {
    const scores = vote([at('a', 0), at('b', 1)], { rule: 'softmax', temperature: 1e-6 });
    expect(scores[0]).toEqual({ label: 'a', score: 1 });
  });

  it('breaks ties by summed similarity', () => {
    const scores = vote([at('a', 50), at('b', 40)], { rule: 'majority', temperature: 1 });
    expect(scores[0]?.label).toBe('b');
  });

  it('breaks ties of equal sums by the nearest neighbour', () => {
    const ballots = [
      { label: 'a', similarity: 0.5 },
      { label: 'a', similarity: 0.5 },
      { label: 'b', similarity: 0.75 },
      { label: 'b', similarity: 0.25 },
    ];
    expect(vote(ballots, { rule: 'majority', temperature: 1 })[0]?.label).toBe('b');
  });

  it('breaks a full tie by label order, whichever came first', () => {
    const ballots = [at('zebra', 30), at('ant', 30)];
    expect(vote(ballots, { rule: 'softmax', temperature: 0.07 })[0]?.label).toBe('ant');
    expect(vote(ballots.toReversed(), { rule: 'softmax', temperature: 0.07 })[0]?.label).toBe('ant');
  });

  it.each(voteRules)('does not turn on the rounding of similarities under %s', (rule) => {
    // The same picture under two labels, and another pair behind it: a millionth more or less, as batches round.
    const rounded = (noise: readonly number[]): LabelScore[] =>
      vote(
        [
          { label: 'wolf', similarity: 0.9 + (noise[0] ?? 0) },
          { label: 'dog', similarity: 0.9 + (noise[1] ?? 0) },
          { label: 'dog', similarity: 0.4 + (noise[2] ?? 0) },
          { label: 'wolf', similarity: 0.4 + (noise[3] ?? 0) },
          { label: 'cat', similarity: 0.1 },
        ],
        { rule, temperature: 0.07 },
      );
    const exact = rounded([]);
    expect(exact.map(({ label }) => label)).toEqual(['dog', 'wolf', 'cat']);
    expect(exact[0]?.score).toBe(exact[1]?.score);
    for (const noise of [[1e-6], [0, 1e-6], [0, 0, 1e-6, -1e-6], [1e-6, -1e-6, -1e-6, 1e-6]]) {
      const scores = rounded(noise);
      expect(scores.map(({ label }) => label)).toEqual(['dog', 'wolf', 'cat']);
      for (const [i, { score }] of scores.entries()) expect(score).toBeCloseTo(exact[i]?.score ?? NaN, 4);
    }
  });

  it.each(voteRules)(
    'takes for equal what differs by the tolerance at most, however small it is, under %s',
    (rule) => {
      // The weight of `similarity` is the cosine: where that is small, the tolerance is a large part of it.
      for (const similarity of [0.9, 0.2, 0.01, 0]) {
        const scores = vote(
          [
            { label: 'wolf', similarity: similarity + 9e-6 },
            { label: 'dog', similarity },
          ],
          { rule, temperature: 0.07 },
        );
        expect(scores.map(({ label }) => label)).toEqual(['dog', 'wolf']);
        expect(scores.map(({ score }) => score)).toEqual([0.5, 0.5]);
      }
    },
  );

  it('tells labels apart by a similarity that differs by more than rounding', () => {
    const ballots = [
      { label: 'dog', similarity: 0.9 },
      { label: 'wolf', similarity: 0.9001 },
    ];
    for (const rule of voteRules) expect(vote(ballots, { rule, temperature: 0.07 })[0]?.label).toBe('wolf');
  });

  it('keeps small scores as they are, and shares none of them out', () => {
    const scores = vote([at('a', 0), at('b', 70), at('c', 90)], { rule: 'softmax', temperature: 0.05 });
    const weights = [1, Math.cos((70 * Math.PI) / 180), 0].map((s) => Math.exp(s / 0.05));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (const [i, { score }] of scores.entries())
      expect(score / ((weights[i] ?? NaN) / total)).toBeCloseTo(1, 9);
  });

  it('keeps labels that are names of object properties apart', () => {
    const scores = vote([at('__proto__', 0), at('constructor', 0)], { rule: 'majority', temperature: 1 });
    expect(scores.map((s) => s.label).sort()).toEqual(['__proto__', 'constructor']);
  });

  it('answers nothing for no neighbours', () => {
    expect(vote([], { rule: 'softmax', temperature: 0.07 })).toEqual([]);
  });

  it('weighs by 1 / rank under rank', () => {
    // a takes ranks 1 and 4, b 2 and 3: 1 + 1/4 against 1/2 + 1/3.
    const ballots = [at('b', 30), at('a', 0), at('b', 20), at('a', 40)];
    const scores = vote(ballots, { rule: 'rank', temperature: 1 });
    expect(scores).toEqual([
      { label: 'a', score: expect.closeTo(1.25 / (1.25 + 5 / 6), 12) as number },
      { label: 'b', score: expect.closeTo(5 / 6 / (1.25 + 5 / 6), 12) as number },
    ]);
  });

  it('lets equal similarities share their ranks', () => {
    // Ranks 2 and 3 weigh (1/2 + 1/3) / 2 each.
    const scores = vote([at('a', 0), at('b', 30), at('c', 30)], { rule: 'rank', temperature: 1 });
    const total = 1 + 1 / 2 + 1 / 3;
    expect(scores).toEqual([
      { label: 'a', score: expect.closeTo(1 / total, 12) as number },
      { label: 'b', score: expect.closeTo(5 / 12 / total, 12) as number },
      { label: 'c', score: expect.closeTo(5 / 12 / total, 12) as number },
    ]);
  });

  it('divides by the share of the index that a label has', () => {
    // Nine in ten examples are a: three votes of it are worth 3 / 0.9, one of b 1 / 0.1.
    const priors = labelSharesOf([...new Array<string>(9).fill('a'), 'b']);
    const ballots = [at('a', 10), at('a', 10), at('a', 10), at('b', 10)];
    const scores = vote(ballots, { rule: 'majority', temperature: 1, priors });
    expect(scores).toEqual([
      { label: 'b', score: expect.closeTo(0.75, 12) as number },
      { label: 'a', score: expect.closeTo(0.25, 12) as number },
    ]);
  });

  it.each([NaN, 0, -1, Infinity])('refuses a temperature of %d, and says so', (temperature) => {
    expect(() => vote([at('a', 0)], { rule: 'softmax', temperature })).toThrow(
      `Expected a temperature above 0 but received ${temperature}`,
    );
  });

  it('has scores that sum to 1, and are sorted, for every rule and prior', () => {
    fc.assert(
      fc.property(anyBallots, anyOptions, (ballots, options) => {
        const scores = vote(ballots, options);
        const sum = scores.reduce((s, { score }) => s + score, 0);
        expect(sum).toBeCloseTo(1, 9);
        expect(scores.map((s) => s.score)).toEqual(scores.map((s) => s.score).toSorted((a, b) => b - a));
        expect(new Set(scores.map((s) => s.label))).toEqual(new Set(ballots.map((b) => b.label)));
      }),
    );
  });

  it('is the same vote in whatever order the neighbours come', () => {
    // Similarities out of nine: many are equal.
    const similarity = fc.integer({ min: -4, max: 4 }).map((step) => step / 4);
    const tied = fc.array(fc.record({ label: fc.constantFrom('a', 'b', 'c'), similarity }), { minLength: 1 });
    fc.assert(
      fc.property(tied, anyOptions, fc.infiniteStream(fc.nat()), (ballots, options, numbers) => {
        const shuffled = ballots
          .map((ballot) => ({ ballot, key: numbers.next().value as number }))
          .sort((a, b) => a.key - b.key)
          .map(({ ballot }) => ballot);
        const scoreOf = new Map(vote(shuffled, options).map(({ label, score }) => [label, score]));
        for (const { label, score } of vote(ballots, options)) {
          expect(scoreOf.get(label)).toBeCloseTo(score, 9);
        }
      }),
    );
  });

  it('changes nothing where all labels have the same share', () => {
    const priors = new Map(['a', 'b', 'c', 'd'].map((label) => [label, 0.25]));
    fc.assert(
      fc.property(anyBallots, anyRule, (ballots, rule) => {
        const plain = vote(ballots, { rule, temperature: 0.1 });
        const corrected = vote(ballots, { rule, temperature: 0.1, priors });
        expect(corrected.map(({ label }) => label)).toEqual(plain.map(({ label }) => label));
        for (const [i, { score }] of plain.entries()) expect(corrected[i]?.score).toBeCloseTo(score, 9);
      }),
    );
  });
});
