import type { ConfidenceFigures } from './figures.js';

const names: readonly [string, (figures: ConfidenceFigures) => string][] = [
  ['accuracy', ({ accuracy }) => `${(100 * accuracy).toFixed(2)} %`],
  ['ECE (15 bins)', ({ ece }) => ece.toFixed(4)],
  ['Brier score', ({ brier }) => brier.toFixed(4)],
  ['NLL', ({ nll }) => nll.toFixed(4)],
  ['AUROC, right against wrong', ({ auroc }) => auroc?.toFixed(4) ?? ''],
];

/** Rows of name, before and after, as terminal and page show them. */
export function figureRows(figures: {
  readonly before: ConfidenceFigures;
  readonly after: ConfidenceFigures;
}): [string, string, string][] {
  return names.map(([name, of]) => [name, of(figures.before), of(figures.after)]);
}
