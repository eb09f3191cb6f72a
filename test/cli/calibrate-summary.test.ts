import { describe, expect, it } from 'vitest';
import { renderCalibration } from '../../src/cli/calibrate.js';
import { measureConfidence } from '../../src/evaluate/measure-confidence.js';
import { aCalibration } from '../examples/a-calibration.js';

/** Ten answers of one confidence, nine of them right. */
const figures = (confidence: number): ReturnType<typeof measureConfidence> =>
  measureConfidence(
    Array.from({ length: 10 }, (_, i) => ({ confidence, correct: i > 0 })),
    1,
  );

const summary = (before: number, after: number): string =>
  renderCalibration({
    calibration: aCalibration(),
    figures: { before: figures(before), after: figures(after) },
    relabelled: 0,
    losses: { temperature: 0.3, isotonic: 0.4 },
    rejected: [],
    file: 'calibration.json',
  });

describe('the summary of a calibration', () => {
  it('has the figures before and after with their intervals', () => {
    expect(summary(0.5, 0.9)).toMatch(/ECE \(15 bins\) *│ 0\.4000 \(.* to .*\) *│ 0\.0000 \(/);
  });

  it('says where it has made nothing better', () => {
    expect(summary(0.5, 0.9)).not.toContain('no better than before');
    expect(summary(0.9, 0.5)).toContain('no better than before');
  });
});
