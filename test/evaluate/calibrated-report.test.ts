import { describe, expect, it } from 'vitest';
import type { Answer } from '../../src/evaluate/measure-accuracy.js';
import { onCircle } from '../neighbours/unit-vectors.js';
import { calibratedReport, type CalibratedReport } from '../../src/evaluate/measure-confidence.js';

/** From a share of 0.5 to 1 the confidence rises from 0.2 to 0.7; of 9 known images none was less similar than 0.5. */
const calibration = {
  confidence: { kind: 'isotonic', shares: [0.5, 1], probabilities: [0.2, 0.7] },
  unknown: {
    rule: 'similarity',
    epsilon: 0.15,
    familiarities: [0.5, 0.6, 0.6, 0.7, 0.7, 0.8, 0.8, 0.9, 0.9],
  },
} as const;

const answer = (label: string, share: number, kthSimilarity: number): Answer => ({
  label,
  confidence: share,
  scores: [
    { label, score: share },
    { label: label === 'a' ? 'b' : 'a', score: 1 - share },
  ],
  meanSimilarity: kthSimilarity,
  kthSimilarity,
});

const answers = [answer('a', 1, 0.95), answer('a', 1, 0.4), answer('b', 0.6, 0.55), answer('b', 0.8, 0.9)];
const truths = ['a', 'b', 'b', 'b'];

function report(fitted: readonly boolean[], strangers?: readonly Answer[]): CalibratedReport {
  const embeddings = onCircle(answers.map(() => 0));
  return calibratedReport({
    ...{ calibration, answers, embeddings, truths, fitted, seed: 1 },
    strangers: strangers && { answers: strangers, embeddings },
  });
}

describe('what a calibration makes of answers', () => {
  it('is measured with the confidence that is served, beside the share of the vote', () => {
    const { share, confidence, images, fittedOn } = report([false, false, false, false]);
    expect({ images, fittedOn }).toEqual({ images: 4, fittedOn: 0 });
    expect(share.brier).toBeCloseTo((0 + 1 + 0.4 ** 2 + 0.2 ** 2) / 4, 12);
    // 0.7, 0.7, 0.3 and 0.5.
    expect(confidence.brier).toBeCloseTo((0.3 ** 2 + 0.7 ** 2 + 0.7 ** 2 + 0.5 ** 2) / 4, 12);
    expect(confidence.accuracy).toBe(0.75);
  });

  it('counts as unknown what no server would call known', () => {
    // p = (1 + 0) / 10 below a similarity of 0.5, 2 / 10 from there on.
    const found = report(
      [false, false, false, false],
      [answer('a', 1, 0.49), answer('a', 1, 0.2), answer('b', 1, 0.5)],
    );
    expect(found.unknown.value).toBe(1 / 4);
    expect(found.strangers?.value).toBe(2 / 3);
    expect(found.strangers?.interval.low).toBeLessThan(2 / 3);
  });

  it('leaves out the images it was fitted on, as long as others are left', () => {
    const some = report([true, true, false, false]);
    expect(some).toMatchObject({ of: 4, fittedOn: 2, images: 2, unknown: { value: 0 } });
    expect(some.share.brier).toBeCloseTo((0.4 ** 2 + 0.2 ** 2) / 2, 12);
    expect(report([true, true, true, true])).toMatchObject({ of: 4, fittedOn: 4, images: 4 });
  });
});
