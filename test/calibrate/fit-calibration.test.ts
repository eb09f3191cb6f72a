import { describe, expect, it } from 'vitest';
import {
  directionsOf,
  directionsWithout,
  fitCalibration,
  roundDown,
  type FitCalibrationOptions,
  type Neighbourhoods,
} from '../../src/calibrate/fit-calibration.js';
import { judge } from '../../src/vote/calibration.js';
import { foundOf } from '../../src/vote/unknown.js';
import { vote } from '../../src/vote/vote.js';
import { onCircle, seededRandom, unitRows } from '../neighbours/unit-vectors.js';

const examples = ['a', 'b'].flatMap((label) =>
  Array.from({ length: 10 }, (_, i) => ({ id: `${label}${i}`, label, source: '' })),
);
const k = 5;

/** Images whose five neighbours are right one by one with a chance that rises with their similarity. */
function drawNeighbourhoods(count: number, seed: number): Neighbourhoods {
  const random = seededRandom(seed);
  const truths: string[] = [];
  const rows: number[] = [];
  const similarities: number[] = [];
  for (let image = 0; image < count; image++) {
    const truth = random() < 0.5 ? 0 : 1;
    truths.push(truth === 0 ? 'a' : 'b');
    const familiar = 0.5 + random() / 2;
    for (let i = 0; i < k; i++) {
      const isRight = random() < familiar;
      rows.push((isRight ? truth : 1 - truth) * 10 + i);
      similarities.push(familiar - i / 100);
    }
  }
  return {
    truths,
    embeddings: onCircle(truths.map((truth) => (truth === 'a' ? 0 : 90))),
    found: { count, k, rows: Int32Array.from(rows), similarities: Float32Array.from(similarities) },
    examples,
  };
}

const options: FitCalibrationOptions = {
  settings: { rule: 'softmax', temperature: 0.07, k, priorCorrection: false },
  // They say nothing: each is as near to every image.
  directions: ['a', 'b'].map((label) => ({ label, direction: [0.5, 0.5] })),
  unknownRule: 'similarity',
  epsilon: 0.1,
  seed: 3,
};

describe('fitting a calibration', () => {
  it('keeps the vote as it is served, and spends every image on the rest', () => {
    const { calibration, answers } = fitCalibration(drawNeighbourhoods(400, 1), options);
    expect(calibration.vote).toEqual(options.settings);
    expect(calibration.unknown.familiarities).toHaveLength(400);
    // Before and after are of the same labels.
    expect(answers.after.map(({ correct }) => correct)).toEqual(answers.before.map(({ correct }) => correct));
  });

  it('is the same for the same seed', () => {
    const hoods = drawNeighbourhoods(300, 1);
    const fit = (seed: number) => fitCalibration(hoods, { ...options, seed });
    expect(fit(5)).toEqual(fit(5));
    expect(fit(5)).not.toEqual(fit(6));
  });

  it('rejects epsilon of new known images on average, and gives them a confidence that holds', () => {
    const rejected: number[] = [];
    let [sure, right] = [0, 0];
    for (let seed = 1; seed <= 20; seed++) {
      const { calibration } = fitCalibration(drawNeighbourhoods(500, seed), options);
      const { truths, found, embeddings } = drawNeighbourhoods(500, seed + 100);
      const votingK = calibration.vote.k;
      let unknown = 0;
      for (const [image, truth] of truths.entries()) {
        const similarities = found.similarities.subarray(image * k, image * k + votingK);
        const ballots = Array.from(similarities, (similarity, i) => ({
          label: examples[found.rows[image * k + i] ?? -1]?.label ?? '',
          similarity,
        }));
        const scores = vote(ballots, calibration.vote);
        const judged = judge(
          calibration,
          foundOf(scores, similarities),
          embeddings.values.subarray(2 * image, 2 * image + 2),
        );
        if (judged.outcome === 'unknown') unknown++;
        sure += judged.confidence;
        if (scores[0]?.label === truth) right++;
      }
      rejected.push(unknown / truths.length);
    }
    const mean = rejected.reduce((sum, share) => sum + share, 0) / rejected.length;
    // 20 rounds of 500 images against 500: the standard error of the mean is 0.0042.
    expect(mean).toBeGreaterThan(0.085);
    expect(mean).toBeLessThan(0.115);
    expect(sure / right).toBeCloseTo(1, 1);
  });
});

describe('the direction of a label', () => {
  it('is that of the sum of its examples, of unit length, to five decimals', () => {
    const rows = unitRows([
      [1, 0],
      [0, 1],
      [0, -1],
    ]);
    const named = ['b', 'b', 'a'].map((label) => ({ id: '', label, source: '' }));
    expect(directionsOf(named, rows)).toEqual([
      { label: 'a', direction: [0, -1] },
      { label: 'b', direction: [0.70711, 0.70711] },
    ]);
  });

  it('is without an example that of all the others', () => {
    const rows = onCircle([0, 20, 50, 90, 200]);
    const named = ['b', 'b', 'a', 'b', 'a'].map((label) => ({ id: '', label, source: '' }));
    const without = directionsWithout(named, rows, [3, 2]);
    for (const [i, left] of [3, 2].entries()) {
      const others = [0, 1, 2, 3, 4].filter((row) => row !== left);
      const expected = directionsOf(
        others.flatMap((row) => named[row] ?? []),
        onCircle(others.map((row) => [0, 20, 50, 90, 200][row] ?? NaN)),
      );
      for (const [at, { label, direction }] of without(i).entries()) {
        expect(label).toBe(expected[at]?.label);
        for (const [d, value] of direction.entries())
          expect(value).toBeCloseTo(expected[at]?.direction[d] ?? NaN, 4);
      }
    }
  });
});

describe('rounding', () => {
  it('is to six decimals and never up', () => {
    expect(roundDown(0.1234567)).toBe(0.123456);
    expect(roundDown(-0.1234561)).toBe(-0.123457);
    expect(roundDown(0.123456)).toBeLessThanOrEqual(0.123456);
    expect(roundDown(1)).toBe(1);
    for (let i = 0; i <= 1_000; i++) {
      const value = Math.fround(i / 1_000);
      expect(roundDown(value)).toBeLessThanOrEqual(value);
      expect(value - roundDown(value)).toBeLessThan(2.1e-6);
    }
  });
});
