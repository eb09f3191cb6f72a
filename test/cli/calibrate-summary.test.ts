import { describe, expect, it } from 'vitest';
import { renderCalibration } from '../../src/cli/calibrate.js';
import { measureConfidence } from '../../src/evaluate/measure-confidence.js';
import type { CalibrationFile } from '../../src/examples/calibration-file.js';
import { aCalibration } from '../examples/a-calibration.js';

/** Ten answers of one confidence, nine of them right. */
const figures = (confidence: number): ReturnType<typeof measureConfidence> =>
  measureConfidence(
    Array.from({ length: 10 }, (_, i) => ({ confidence, correct: i > 0 })),
    1,
  );

const summary = (
  before: number,
  after: number,
  changes: Partial<CalibrationFile> = {},
  unseen: readonly string[] = [],
): string =>
  renderCalibration({
    unseen,
    leftOut: { images: 0, labels: [] },
    calibration: aCalibration(changes),
    figures: { before: figures(before), after: figures(after) },
    losses: { share: 0.5, temperature: 0.3, isotonic: 0.4, logistic: 0.2 },
    rejected: [],
    trainedOn: 0,
    file: 'calibration.json',
  });

describe('the summary of a calibration', () => {
  it('has the figures before and after with their intervals', () => {
    expect(summary(0.5, 0.9)).toMatch(/ECE \(15 bins\) *│ 0\.4000 \(.* to .*\) *│ 0\.0000 \(/);
  });

  it('has the band in which the ECE of a perfect confidence would lie', () => {
    // Of ten answers, nine at 0.9: their share that is right differs from 0.9 by 0 to 0.2 nearly always.
    expect(summary(0.5, 0.9)).toMatch(
      /ECE of a perfect confidence *│ 0\.0000 to .* *│ 0\.0000 to 0\.[23]000/,
    );
  });

  it('warns of labels of which it has seen no image', () => {
    expect(summary(0.5, 0.9)).not.toContain('no image has the label');
    expect(summary(0.5, 0.9, {}, ['fox', 'owl'])).toContain('no image has the label fox, owl:');
  });

  it('has one column where the share of the vote stays', () => {
    const text = summary(0.5, 0.5, { confidence: { kind: 'share' } });
    expect(text).toMatch(/ECE \(15 bins\) *│ 0\.4000 \([^│]*│\n/);
    expect(text).not.toContain('after');
  });

  it('says where nothing that was fitted does better, and how many images it takes to call one unknown', () => {
    const better = 'by cross-validation nothing fitted does better';
    expect(summary(0.5, 0.9)).not.toContain(better);
    expect(summary(0.5, 0.5, { confidence: { kind: 'share' } })).toContain(better);
    const unknown = { ...aCalibration().unknown, epsilon: 0.05, threshold: null };
    expect(summary(0.5, 0.9, { unknown })).toContain('needs at least 20 images and there are 9');
  });
});
