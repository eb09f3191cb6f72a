import { describe, expect, it } from 'vitest';
import { figuresOf } from '../../../src/evaluate/metrics/confidence.js';

describe('the figures of a confidence', () => {
  it('are those of a forecast of one event, worked by hand', () => {
    const figures = figuresOf([
      { confidence: 0.9, correct: true },
      { confidence: 0.6, correct: false },
      { confidence: 0.6, correct: true },
      { confidence: 0.2, correct: false },
    ]);
    expect(figures.accuracy).toBe(0.5);
    // Gaps of 0.1, 0.1 (two of 0.6, one right) and 0.2.
    expect(figures.ece).toBeCloseTo((0.1 + 2 * 0.1 + 0.2) / 4, 12);
    expect(figures.brier).toBeCloseTo((0.01 + 0.36 + 0.16 + 0.04) / 4, 12);
    expect(figures.nll).toBeCloseTo(-(Math.log(0.9) + Math.log(0.4) + Math.log(0.6) + Math.log(0.8)) / 4, 12);
    // Of four pairs three are in order and one is a tie.
    expect(figures.auroc).toBeCloseTo(3.5 / 4, 12);
  });

  it('have no AUROC where all are right, and a bounded loss for the surest mistake', () => {
    expect(figuresOf([{ confidence: 0.9, correct: true }]).auroc).toBeNull();
    expect(figuresOf([{ confidence: 1, correct: false }]).nll).toBeCloseTo(15 * Math.log(10), 9);
  });
});
