import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../src/domain/seeded-random.js';
import { eceInterval, measureConfidence } from '../../src/evaluate/measure-confidence.js';
import { figuresOf, type Confident } from '../../src/evaluate/metrics/confidence.js';

/** Answers that are right as often as they are sure, less a gap. */
function answers(count: number, { gap, seed }: { gap: number; seed: number }): Confident[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => {
    const confidence = 0.3 + 0.7 * random();
    return { confidence, correct: random() < confidence - gap };
  });
}

describe('intervals of what a confidence is worth', () => {
  it('hold the calibration error that was drawn from about as often as they say', () => {
    let covered = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const { low, high } = eceInterval(answers(600, { gap: 0.1, seed }), 1);
      if (low <= 0.1 && 0.1 <= high) covered++;
    }
    // 57 expected, standard deviation 1.7, and what drawing lifts the error by is taken out in part only.
    expect(covered).toBeGreaterThan(48);
  });

  it('reach down to nearly no error where there is none, though the figure itself does not', () => {
    let [low, figure] = [0, 0];
    for (let seed = 1; seed <= 30; seed++) {
      const some = answers(600, { gap: 0, seed });
      low += eceInterval(some, 1).low / 30;
      figure += figuresOf(some).ece / 30;
    }
    // The noise of ten bins of 60: each is off by about sqrt(0.2 / 60) sqrt(2 / pi).
    expect(figure).toBeGreaterThan(0.04);
    expect(low).toBeLessThan(0.012);
  });

  it('are around their figures, and the same for the same seed', () => {
    const some = answers(400, { gap: 0.1, seed: 9 });
    const measured = measureConfidence(some, 3);
    for (const name of ['accuracy', 'brier', 'nll', 'auroc'] as const) {
      expect(measured.intervals[name].low).toBeLessThan(measured[name] ?? NaN);
      expect(measured.intervals[name].high).toBeGreaterThan(measured[name] ?? NaN);
    }
    expect(measureConfidence(some, 3)).toEqual(measured);
    expect(measureConfidence(some, 4).intervals).not.toEqual(measured.intervals);
  });

  it('have none for an AUROC that is none', () => {
    const { auroc, intervals } = measureConfidence([{ confidence: 0.9, correct: true }], 1);
    expect({ auroc, interval: intervals.auroc }).toEqual({ auroc: null, interval: { low: NaN, high: NaN } });
  });
});
