import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { voteRules } from '../../src/vote/rules.js';
import { vote, type Ballot } from '../../src/vote/vote.js';

/** A neighbour placed at an angle from the query on the unit circle: its cosine is its similarity. */
const at = (label: string, degrees: number): Ballot => ({
  label,
  similarity: Math.cos((degrees * Math.PI) / 180),
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

  it('keeps labels that are names of object properties apart', () => {
    const scores = vote([at('__proto__', 0), at('constructor', 0)], { rule: 'majority', temperature: 1 });
    expect(scores.map((s) => s.label).sort()).toEqual(['__proto__', 'constructor']);
  });

  it('answers nothing for no neighbours', () => {
    expect(vote([], { rule: 'softmax', temperature: 0.07 })).toEqual([]);
  });

  it('has scores that sum to 1, and are sorted, for every rule', () => {
    const ballots = fc.array(
      fc.record({
        label: fc.constantFrom('a', 'b', 'c', 'd'),
        similarity: fc.double({ min: -1, max: 1, noNaN: true }),
      }),
      { minLength: 1, maxLength: 200 },
    );
    const rule = fc.constantFrom(...voteRules);
    const temperature = fc.double({ min: 0.01, max: 10, noNaN: true });
    fc.assert(
      fc.property(ballots, rule, temperature, (list, rule_, t) => {
        const scores = vote(list, { rule: rule_, temperature: t });
        const sum = scores.reduce((s, { score }) => s + score, 0);
        expect(sum).toBeCloseTo(1, 9);
        expect(scores.map((s) => s.score)).toEqual(scores.map((s) => s.score).toSorted((a, b) => b - a));
        expect(new Set(scores.map((s) => s.label))).toEqual(new Set(list.map((b) => b.label)));
      }),
    );
  });
});
