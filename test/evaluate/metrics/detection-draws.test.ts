import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/domain/seeded-random.js';
import { drawAgain } from '../../../src/evaluate/metrics/intervals.js';
import { auprc, auroc, detectionDraws, falsePositivesAt } from '../../../src/evaluate/metrics/detection.js';

describe('draws of known and unknown scores', () => {
  it('have the figures of the scores that they drew, ties included', () => {
    const scores = seededRandom(5);
    const known = Array.from({ length: 60 }, () => Math.round(10 * (0.3 + scores())) / 10);
    const unknown = Array.from({ length: 25 }, () => Math.round(10 * scores()) / 10);
    const draw = detectionDraws({ known, unknown }, seededRandom(7));
    // The same numbers draw the same images.
    const random = seededRandom(7);
    for (let i = 0; i < 50; i++) {
      const drawn = { known: drawAgain(known, random), unknown: drawAgain(unknown, random) };
      const { auroc: area, aupr, falsePositives } = draw();
      expect(area).toBeCloseTo(auroc(drawn), 12);
      expect(aupr).toBeCloseTo(auprc(drawn), 12);
      expect(falsePositives).toBeCloseTo(falsePositivesAt(drawn).falsePositives, 12);
    }
  });
});
