import { expect, it } from 'vitest';
import { numberLabels, overlaps } from '../../src/audit/labelling.js';

it('the overlap of two labels is the share of both that is taken for the other', () => {
  const labels = ['cat', 'cat', 'cat', 'cat', 'dog', 'dog', 'ship', 'ship'];
  const predicted = ['dog', 'cat', 'dog', 'ship', 'dog', 'cat', 'ship', 'ship'];
  expect(overlaps(predicted, numberLabels(labels))).toEqual([
    { labels: ['cat', 'dog'], taken: [2, 1], rate: 3 / 6 },
    { labels: ['cat', 'ship'], taken: [1, 0], rate: 1 / 6 },
  ]);
  expect(overlaps(labels, numberLabels(labels))).toEqual([]);
});
