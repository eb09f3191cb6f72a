import { describe, expect, it } from 'vitest';
import {
  accuracyOf,
  accuracyPerClass,
  mostConfused,
  topAccuracy,
  type Judged,
} from '../../../src/evaluate/metrics/accuracy.js';

/** Worked by hand: 5 cats (3 right, 2 taken for dogs), 3 dogs (1 right, 1 cat, 1 unanswered), 1 emu (right). */
const judged: Judged[] = [
  ...['cat', 'cat', 'cat', 'dog', 'dog'].map((predicted) => ({ truth: 'cat', predicted })),
  ...['dog', 'cat', undefined].map((predicted) => ({ truth: 'dog', predicted })),
  { truth: 'emu', predicted: 'emu' },
];

describe('metrics', () => {
  it('counts the share of right labels', () => {
    expect(accuracyOf(judged)).toBeCloseTo(5 / 9, 12);
  });

  it('has no accuracy for no images', () => {
    expect(accuracyOf([])).toBeNaN();
  });

  it('gives each class its own accuracy in label order', () => {
    expect(accuracyPerClass(judged)).toEqual([
      { label: 'cat', count: 5, correct: 3, accuracy: 3 / 5 },
      { label: 'dog', count: 3, correct: 1, accuracy: 1 / 3 },
      { label: 'emu', count: 1, correct: 1, accuracy: 1 },
    ]);
  });

  it('ranks confusions and leaves unanswered images out of them', () => {
    expect(mostConfused(judged, 5)).toEqual([
      { truth: 'cat', predicted: 'dog', count: 2 },
      { truth: 'dog', predicted: 'cat', count: 1 },
    ]);
    expect(mostConfused(judged, 1)).toHaveLength(1);
  });

  it('takes the true label among the first n for right, and one without votes for wrong', () => {
    const images = [
      { truth: 'a', labels: ['a', 'b', 'c'] },
      { truth: 'b', labels: ['a', 'b'] },
      { truth: 'c', labels: ['b', 'a', 'c'] },
      { truth: 'd', labels: ['a'] },
    ];
    expect([1, 2, 3, 5].map((n) => topAccuracy(images, n))).toEqual([1 / 4, 2 / 4, 3 / 4, 3 / 4]);
    expect(topAccuracy([], 1)).toBeNaN();
  });

  it('keeps labels that are names of object properties apart', () => {
    expect(accuracyPerClass([{ truth: '__proto__', predicted: 'constructor' }])).toEqual([
      { label: '__proto__', count: 1, correct: 0, accuracy: 0 },
    ]);
  });
});
