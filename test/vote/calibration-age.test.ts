import { describe, expect, it } from 'vitest';
import { calibrationAge } from '../../src/vote/calibration.js';

const labels = (...names: string[]): { label: string }[] => names.map((label) => ({ label }));
const fitted = { fittedFor: 'v1', changed: 0, labels: new Set(['a', 'b']) };

describe('the age of a calibration', () => {
  it('is nothing where nothing has changed', () => {
    const age = calibrationAge(fitted, { examples: 10, changed: 0, labels: labels('a', 'b') });
    expect(age).toEqual({ fittedFor: 'v1', changedSince: 0, stale: false });
  });

  it('counts what changed before the version that is served and after it', () => {
    const age = calibrationAge({ ...fitted, changed: 1 }, { examples: 20, changed: 3, labels: labels('a') });
    expect(age).toEqual({ fittedFor: 'v1', changedSince: 0.2, stale: false });
  });

  it('is stale past another share where that is told', () => {
    const index = { examples: 20, changed: 4, labels: labels('a') };
    expect(calibrationAge(fitted, index, 0.5).stale).toBe(false);
    expect(calibrationAge(fitted, index, 0).stale).toBe(true);
    expect(calibrationAge(fitted, { ...index, changed: 0 }, 0).stale).toBe(false);
  });

  it('is stale past a fifth, and with a label that was never seen', () => {
    expect(calibrationAge(fitted, { examples: 19, changed: 4, labels: labels('a') }).stale).toBe(true);
    expect(calibrationAge(fitted, { examples: 999, changed: 1, labels: labels('a', 'c') }).stale).toBe(true);
  });

  it('is whole for an index that was emptied', () => {
    expect(calibrationAge(fitted, { examples: 0, changed: 10, labels: [] })).toMatchObject({
      changedSince: 1,
      stale: true,
    });
  });
});
