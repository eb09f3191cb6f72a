import { describe, expect, it } from 'vitest';
import {
  fitCalibration,
  roundDown,
  type FitCalibrationOptions,
} from '../../src/calibrate/fit-calibration.js';
import { lossOf, type Neighbourhoods } from '../../src/calibrate/fit-vote.js';
import { judge } from '../../src/vote/calibration.js';
import { vote } from '../../src/vote/vote.js';
import { seededRandom } from '../neighbours/unit-vectors.js';

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
    found: { count, k, rows: Int32Array.from(rows), similarities: Float32Array.from(similarities) },
    examples,
  };
}

const options: FitCalibrationOptions = {
  settings: { rule: 'softmax', temperature: 0.07, k, priorCorrection: false },
  ks: [1, 3, 5],
  temperatures: [0.01, 0.07, 1],
  unknownRule: 'similarity',
  epsilon: 0.1,
  seed: 3,
};

describe('fitting a calibration', () => {
  it('spends a quarter on k and T, and nothing where both are told', async () => {
    const hoods = drawNeighbourhoods(400, 1);
    const fit = (more: Partial<FitCalibrationOptions>) =>
      fitCalibration(() => Promise.resolve(hoods), { ...options, ...more });
    expect((await fit({})).images).toEqual({ vote: 100, calibration: 300 });
    const fixed = await fit({ ks: [3], temperatures: [0.2] });
    expect(fixed.images).toEqual({ vote: 0, calibration: 400 });
    expect(fixed.calibration.vote).toMatchObject({ k: 3, temperature: 0.2 });
    expect(fixed.calibration.unknown.familiarities).toHaveLength(400);
  });

  it('chooses the k that errs least where one neighbour tells little', async () => {
    const hoods = drawNeighbourhoods(2_000, 1);
    const { calibration } = await fitCalibration(() => Promise.resolve(hoods), options);
    expect(calibration.vote.k).toBe(5);
  });

  it('is the same for the same seed', async () => {
    const hoods = drawNeighbourhoods(300, 1);
    const fit = (seed: number) => fitCalibration(() => Promise.resolve(hoods), { ...options, seed });
    expect(await fit(5)).toEqual(await fit(5));
    expect(await fit(5)).not.toEqual(await fit(6));
  });

  it('rejects epsilon of new known images on average, and gives them a confidence that holds', async () => {
    const rejected: number[] = [];
    let [sure, right] = [0, 0];
    for (let seed = 1; seed <= 20; seed++) {
      const { calibration } = await fitCalibration(
        () => Promise.resolve(drawNeighbourhoods(500, seed)),
        options,
      );
      const { truths, found } = drawNeighbourhoods(500, seed + 100);
      const votingK = calibration.vote.k;
      let unknown = 0;
      for (const [image, truth] of truths.entries()) {
        const similarities = found.similarities.subarray(image * k, image * k + votingK);
        const ballots = Array.from(similarities, (similarity, i) => ({
          label: examples[found.rows[image * k + i] ?? -1]?.label ?? '',
          similarity,
        }));
        const scores = vote(ballots, calibration.vote);
        const judged = judge(calibration, { scores, similarities });
        if (judged.outcome === 'unknown') unknown++;
        sure += judged.confidence;
        if (scores[0]?.label === truth) right++;
      }
      rejected.push(unknown / truths.length);
    }
    const mean = rejected.reduce((sum, share) => sum + share, 0) / rejected.length;
    // 20 rounds of 500 images against 375: the standard error of the mean is 0.0045.
    expect(mean).toBeGreaterThan(0.085);
    expect(mean).toBeLessThan(0.115);
    expect(sure / right).toBeCloseTo(1, 1);
  });
});

describe('the loss of a vote', () => {
  it('is that of the true score, with a hundredth spread over all labels', () => {
    const scores = [{ label: 'a', score: 1 }];
    expect(lossOf({ truth: 'a', scores }, 10)).toBeCloseTo(-Math.log(0.991), 12);
    expect(lossOf({ truth: 'b', scores }, 10)).toBeCloseTo(-Math.log(0.001), 12);
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
