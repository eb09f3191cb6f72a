import { describe, expect, it } from 'vitest';
import { classScores, confusionMatrix, macroScores } from '../../../src/evaluate/metrics/accuracy.js';

/*
 * Reference values by scikit-learn 1.2.1 (numpy 1.24.2):
 *   rng = np.random.default_rng(7)
 *   truth = rng.integers(0, 4, 24)
 *   given = np.where(rng.random(24) < .6, truth, rng.integers(0, 5, 24))
 *   confusion_matrix(truth, given)
 *   precision_recall_fscore_support(truth, given, zero_division=0)
 *   precision_recall_fscore_support(truth, given, average='macro', zero_division=0)
 */
const truths = 'dccdcddaabbddabdadabdbbb';
const given = 'dccddedaabeddabeddabdbbb';
const judged = Array.from(truths, (truth, i) => ({ truth, predicted: given[i] }));

describe('confusion matrix', () => {
  it('is that of scikit-learn, with a row for a label that is only ever given', () => {
    expect(confusionMatrix(judged)).toEqual({
      labels: ['a', 'b', 'c', 'd', 'e'],
      counts: [
        [4, 0, 0, 1, 0],
        [0, 6, 0, 0, 1],
        [0, 0, 2, 1, 0],
        [0, 0, 0, 7, 2],
        [0, 0, 0, 0, 0],
      ],
    });
  });

  it('has no column for images that were given no label', () => {
    const unanswered = [
      { truth: 'a', predicted: undefined },
      { truth: 'b', predicted: 'b' },
    ];
    expect(confusionMatrix(unanswered)).toEqual({
      labels: ['a', 'b'],
      counts: [
        [0, 0],
        [0, 1],
      ],
    });
    expect(classScores(unanswered)[0]).toEqual({ label: 'a', count: 1, precision: 0, recall: 0, f1: 0 });
  });
});

describe('precision, recall and F1', () => {
  const near = (value: number): number => expect.closeTo(value, 12) as number;

  it('are those of scikit-learn for each class', () => {
    expect(classScores(judged)).toEqual([
      { label: 'a', count: 5, precision: 1, recall: near(0.8), f1: near(0.888888888888889) },
      { label: 'b', count: 7, precision: 1, recall: near(0.8571428571428571), f1: near(0.923076923076923) },
      { label: 'c', count: 3, precision: 1, recall: near(0.6666666666666666), f1: near(0.8) },
      {
        label: 'd',
        count: 9,
        precision: near(0.7777777777777778),
        recall: near(0.7777777777777778),
        f1: near(0.7777777777777778),
      },
      { label: 'e', count: 0, precision: 0, recall: 0, f1: 0 },
    ]);
  });

  it('are those of scikit-learn over all classes', () => {
    expect(macroScores(classScores(judged))).toEqual({
      precision: near(0.7555555555555555),
      recall: near(0.6203174603174603),
      f1: near(0.6779487179487179),
    });
  });

  it('keep labels that are names of object properties apart', () => {
    expect(classScores([{ truth: '__proto__', predicted: 'constructor' }]).map(({ label }) => label)).toEqual(
      ['__proto__', 'constructor'],
    );
  });
});
