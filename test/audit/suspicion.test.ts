import { describe, expect, it } from 'vitest';
import { numberLabels } from '../../src/audit/labelling.js';
import { classDirections, mislabelled, suspicions, type Suspicion } from '../../src/audit/mislabelled.js';
import { onCircle, randomUnitRows } from '../neighbours/unit-vectors.js';

/** Everybody votes for one label. */
const allFor = (label: string) => [{ label, score: 1 }];

describe('class directions', () => {
  it('are the normalised sums of the other rows, as a plain mean has them', () => {
    const embeddings = randomUnitRows(12, 6);
    const labels = Array.from({ length: 12 }, (_, row) => (row % 3 === 0 ? 'a' : 'b'));
    const trusted = labels.map((_, row) => row !== 4);
    const directions = classDirections({ embeddings, labelling: numberLabels(labels), trusted });
    const at = (row: number): number[] => [...embeddings.values.subarray(row * 6, (row + 1) * 6)];
    const into = new Float64Array(2);
    for (let row = 0; row < 12; row++) {
      directions.cosines(row, into);
      for (const [label, name] of ['a', 'b'].entries()) {
        const sum = [0, 0, 0, 0, 0, 0];
        for (let other = 0; other < 12; other++) {
          if (labels[other] !== name || trusted[other] !== true || other === row) continue;
          at(other).forEach((value, i) => (sum[i] = (sum[i] ?? 0) + value));
        }
        const along = at(row).reduce((total, value, i) => total + value * (sum[i] ?? NaN), 0);
        expect(into[label]).toBeCloseTo(along / Math.hypot(...sum), 5);
      }
    }
  });

  it('are made of all rows of a label where fewer than two are believed', () => {
    const labelling = numberLabels(['a', 'a', 'b', 'b']);
    const trusted = [true, true, true, false];
    const directions = classDirections({ embeddings: onCircle([0, 10, 80, 90]), labelling, trusted });
    const into = new Float64Array(2);
    // Row 2 finds row 3 alone, 10 degrees off; without it there would be nothing left of b.
    directions.cosines(2, into);
    expect(into[1]).toBeCloseTo(Math.cos(Math.PI / 18), 5);
  });
});

describe('suspicion', () => {
  it('adds the log shares of the vote and the cosines to the directions over T = 0.07', () => {
    // Four of a at 0 degrees, three of b at 90; the last a lies among b.
    const labels = ['a', 'a', 'a', 'b', 'b', 'b', 'a'];
    const ranked = suspicions({
      embeddings: onCircle([0, 0, 0, 90, 90, 90, 90]),
      labelling: numberLabels(labels),
      votes: ['a', 'a', 'a', 'b', 'b', 'b', 'b'].map(allFor),
    });
    const margin = Math.log(1.01) - Math.log(0.01) + 1 / 0.07;
    expect(ranked.map(({ score }) => score)).toEqual([
      ...Array.from({ length: 6 }, () => expect.closeTo(-margin, 4) as number),
      expect.closeTo(margin, 4),
    ]);
    expect(ranked[6]).toMatchObject({ suggested: 'b', ownShare: 0, suggestedShare: 1 });
    expect(ranked[6]?.ownProbability).toBeCloseTo(1 / (1 + Math.exp(margin)), 9);
  });

  it('does not judge an example that is alone with its label', () => {
    const [, , alone] = suspicions({
      embeddings: onCircle([0, 1, 2, 90, 91]),
      labelling: numberLabels(['a', 'a', 'only', 'b', 'b']),
      votes: ['a', 'a', 'a', 'b', 'b'].map(allFor),
    });
    expect(alone?.score).toBe(-Infinity);
  });
});

describe('the likely mislabelled', () => {
  const suspicion = (
    row: number,
    score: number,
    suggested: string,
    own: number,
    other: number,
  ): Suspicion => ({
    ...{ row, score, suggested, ownShare: 0, suggestedShare: 1 },
    ...{ ownProbability: own, suggestedProbability: other },
  });

  it('are at least as surely of another label as that label is of its own examples, worst first', () => {
    // Mean self-confidence: a (0.9 + 0.7 + 0.2) / 3 = 0.6; b (0.5 + 0.1) / 2 = 0.3.
    const given = [
      suspicion(0, -2, 'b', 0.9, 0.1),
      suspicion(1, -1, 'b', 0.7, 0.3),
      suspicion(2, 0.4, 'b', 0.2, 0.29),
      suspicion(3, -0.2, 'a', 0.5, 0.4),
      suspicion(4, 2, 'a', 0.1, 0.6),
    ];
    const labelling = numberLabels(['a', 'a', 'a', 'b', 'b']);
    expect(mislabelled(given, labelling).map(({ row }) => row)).toEqual([4]);
    const surer = given.map((one) => (one.row === 2 ? { ...one, suggestedProbability: 0.31 } : one));
    expect(mislabelled(surer, labelling).map(({ row }) => row)).toEqual([4, 2]);
  });

  it('need be no surer than 0.9, however sure a label is of its own', () => {
    const given = [
      suspicion(0, -9, 'b', 0.9999, 0.0001),
      suspicion(1, -9, 'a', 0.9999, 0.0001),
      suspicion(2, 3, 'a', 0.05, 0.95),
      suspicion(3, 2, 'a', 0.11, 0.89),
    ];
    // a: 0.9999 in the mean.
    expect(mislabelled(given, numberLabels(['a', 'b', 'b', 'b'])).map(({ row }) => row)).toEqual([2]);
  });

  it('are none where every label is the likeliest', () => {
    const given = [suspicion(0, -1, 'b', 0.6, 0.4), suspicion(1, -1, 'a', 0.4, 0.4)];
    expect(mislabelled(given, numberLabels(['a', 'b']))).toEqual([]);
  });
});
