import type {
  BarsSection,
  MapSection,
  PicturesSection,
  ReportPage,
  TableSection,
} from '../../report/section.js';
import type { CompareReport, FigureName, PairedFigure } from '../differences.js';
import { decimal, percent, warningsSections } from './words.js';

/** What the two are called. */
interface SideNames {
  readonly a: string;
  readonly b: string;
}

export interface ComparePageParts {
  readonly subtitle: string;
  readonly names: SideNames;
  readonly report: CompareReport;
  readonly map: MapSection;
  readonly pictures: PicturesSection;
  readonly warnings: readonly string[];
}

/** More labels than this can be neither drawn nor read. */
const mostLabels = 50;

/** The report of `nearvote compare` as a page. */
export function comparePage(parts: ComparePageParts): ReportPage {
  const { subtitle, names, report, map, pictures, warnings } = parts;
  const { accuracy } = report.figures;
  return {
    title: `${names.a} against ${names.b}`,
    subtitle,
    facts: [
      { name: 'accuracy of A', value: percent(accuracy.a) },
      { name: 'accuracy of B', value: percent(accuracy.b) },
      { name: 'B - A, 95 % interval', value: differenceWords(accuracy) },
      { name: "McNemar's p", value: pValue(report.mcnemar.exactP) },
      { name: 'images', value: String(report.queries) },
    ],
    sections: [
      ...warningsSections(warnings),
      pairedTable(report),
      mcnemarTable(report),
      recallBars(report, names),
      classesTable(report),
      map,
      pictures,
    ],
  };
}

function recallBars({ classes }: CompareReport, names: SideNames): BarsSection {
  const apart = ({ recall }: CompareReport['classes'][number]): number => Math.abs(recall.difference);
  const all = classes.length <= mostLabels;
  const shown = all ? classes : [...classes].sort((a, b) => apart(b) - apart(a)).slice(0, mostLabels);
  return {
    kind: 'bars',
    title: 'Recall by label',
    note: all ? undefined : `The ${mostLabels} of ${classes.length} labels that differ most.`,
    series: [`A: ${names.a}`, `B: ${names.b}`],
    groups: shown.map(({ label, recall }) => ({ label, values: [recall.a, recall.b] })),
  };
}

const figureNames: Readonly<Record<FigureName, string>> = {
  accuracy: 'accuracy',
  macroF1: 'macro F1',
  precisionAt1: 'precision@1',
  rPrecision: 'R-precision',
  mapAtR: 'MAP@R',
};

/** `+1.20 points (+0.40 to +2.00)`. */
function differenceWords({ difference, interval }: PairedFigure): string {
  return Number.isNaN(difference)
    ? '–'
    : `${points(difference)} points (${points(interval.low)} to ${points(interval.high)})`;
}

const points = (share: number): string => `${share < 0 ? '-' : '+'}${(100 * Math.abs(share)).toFixed(2)}`;

/** To four digits, and none smaller than those can say. */
function pValue(p: number): string {
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
  const { onlyFirstRight, onlySecondRight, exactP } = mcnemar;
  return {
    kind: 'table',
    title: "McNemar's test of accuracy",
    note: 'Were both equally often right, an image that only one gets right would fall to either like a coin: p is how likely so uneven a split is then, both ways counted.',
    columns: [right('images'), right('only A right'), right('only B right'), right('p')],
    rows: [[String(queries), String(onlyFirstRight), String(onlySecondRight), pValue(exactP)]],
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
