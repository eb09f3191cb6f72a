import type { TableSection } from '../../report/section.js';
import type { FigureName, PairedFigure } from '../compare-figures.js';
import type { CompareReport } from '../compare.js';
import { decimal, percent } from './words.js';

const figureNames: Readonly<Record<FigureName, string>> = {
  accuracy: 'accuracy',
  macroF1: 'macro F1',
  precisionAt1: 'precision@1',
  rPrecision: 'R-precision',
  mapAtR: 'MAP@R',
};

/** `+1.20 points (+0.40 to +2.00)`. */
export function differenceWords({ difference, interval }: PairedFigure): string {
  return Number.isNaN(difference)
    ? '–'
    : `${points(difference)} points (${points(interval.low)} to ${points(interval.high)})`;
}

const points = (share: number): string => `${share < 0 ? '-' : '+'}${(100 * Math.abs(share)).toFixed(2)}`;

/** To four digits, and none smaller than those can say. */
export function pValue(p: number): string {
  return p < 0.0001 ? '< 0.0001' : decimal(p);
}

const right = (name: string): { name: string; align: 'right' } => ({ name, align: 'right' });

/** Each figure of both, and what lies between them. */
export function pairedTable({ figures, k }: CompareReport): TableSection {
  return {
    kind: 'table',
    title: 'Figures',
    note: `By exact search, k = ${k}. Differences are B - A in percentage points, with 95 % intervals by paired bootstrap over the images: one that holds 0 tells nothing apart.`,
    columns: [{ name: 'figure' }, right('A'), right('B'), right('B - A')],
    rows: (Object.keys(figureNames) as FigureName[]).map((name) => [
      figureNames[name],
      percent(figures[name].a),
      percent(figures[name].b),
      differenceWords(figures[name]),
    ]),
  };
}

/** On which images they differ, and how likely that is by chance. */
export function mcnemarTable({ mcnemar, queries }: CompareReport): TableSection {
  const { onlyFirstRight, onlySecondRight, exactP, chiSquare } = mcnemar;
  return {
    kind: 'table',
    title: "McNemar's test of accuracy",
    note: 'Were both equally often right, an image that only one gets right would fall to either like a coin: p is how likely so uneven a split is then, both ways counted.',
    columns: [right('images'), right('only A right'), right('only B right'), right('chi-square'), right('p')],
    rows: [
      [
        String(queries),
        String(onlyFirstRight),
        String(onlySecondRight),
        chiSquare.toFixed(2),
        pValue(exactP),
      ],
    ],
  };
}

/** Each label by itself. */
export function classesTable({ classes }: CompareReport): TableSection {
  return {
    kind: 'table',
    title: 'By label',
    note: 'Among many labels a few intervals miss 0 by chance alone.',
    columns: [
      { name: 'label' },
      ...['images', 'recall of A', 'recall of B', 'B - A', 'F1 of A', 'F1 of B'].map(right),
    ],
    rows: classes.map(({ label, count, recall, f1 }) => [
      label,
      String(count),
      percent(recall.a),
      percent(recall.b),
      differenceWords(recall),
      percent(f1.a),
      percent(f1.b),
    ]),
  };
}
