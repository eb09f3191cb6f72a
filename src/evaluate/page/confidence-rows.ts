import type { ConfidenceHeadline, MeasuredConfidence } from '../measure-confidence.js';
import { decimal, percent, withInterval } from './words.js';

const names: readonly [string, ConfidenceHeadline][] = [
  ['accuracy', 'accuracy'],
  ['ECE (15 bins)', 'ece'],
  ['Brier score', 'brier'],
  ['NLL', 'nll'],
  ['AUROC, right against wrong', 'auroc'],
];

/** What two confidences of the same images are worth: rows of name, first and second, each with its 95 % interval. */
export function confidenceRows(first: MeasuredConfidence, second: MeasuredConfidence): string[][] {
  return names.map(([name, key]) => [
    name,
    ...[first, second].map((figures) =>
      withInterval(figures[key] ?? NaN, figures.intervals[key], key === 'accuracy' ? percent : decimal),
    ),
  ]);
}
