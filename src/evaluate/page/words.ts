import type { VoteSettings } from '../../vote/calibration.js';
import type { TableSection } from '../../report/section.js';
import type { ConfidenceHeadline, MeasuredConfidence } from '../measure-confidence.js';
import type { Interval } from '../metrics/intervals.js';

/** `1 label`, `2 labels`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/** `92.24 %`; a dash where there is no figure. */
export function percent(share: number | undefined): string {
  return share === undefined || Number.isNaN(share) ? '–' : `${(100 * share).toFixed(2)} %`;
}

/** `0.7051`; a dash where there is no figure. */
export function decimal(value: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(4);
}

/** A figure with its 95 % interval, the unit said once: `92.24 % (91.73 to 92.74)`. */
export function withInterval(
  value: number,
  { low, high }: Interval,
  form: (value: number) => string = percent,
): string {
  const bare = (end: number): string => form(end).replace(' %', '');
  return Number.isNaN(value) ? form(value) : `${form(value)} (${bare(low)} to ${bare(high)})`;
}

/** `0.0045 to 0.0121`. */
export function bandWords({ low, high }: Interval): string {
  return `${decimal(low)} to ${decimal(high)}`;
}

/** An ECE is never 0: it says something beside where that of a perfect confidence lies, 95 % of the time, on as many images. */
export const perfectEce = 'ECE of a perfect confidence';

const names: readonly [string, ConfidenceHeadline][] = [
  ['accuracy', 'accuracy'],
  ['ECE (15 bins)', 'ece'],
  ['Brier score', 'brier'],
  ['NLL', 'nll'],
  ['AUROC, right against wrong', 'auroc'],
];

/** What confidences of the same images are worth: rows of a name and a figure of each, with its 95 % interval. */
export function confidenceRows(confidences: readonly MeasuredConfidence[]): string[][] {
  const rows = names.map(([name, key]) => [
    name,
    ...confidences.map((figures) =>
      withInterval(figures[key] ?? NaN, figures.intervals[key], key === 'accuracy' ? percent : decimal),
    ),
  ]);
  const bands = confidences.map(({ nullBand }) => bandWords(nullBand));
  return [...rows.slice(0, 2), [perfectEce, ...bands], ...rows.slice(2)];
}

/** What makes the figures other than they look, before all of them; nothing where nothing does. */
export function warningsSections(warnings: readonly string[]): TableSection[] {
  if (warnings.length === 0) return [];
  return [
    {
      kind: 'table',
      title: 'Warnings',
      columns: [{ name: 'what makes the figures other than they look' }],
      rows: warnings.map((warning) => [warning]),
    },
  ];
}

/** `softmax vote, T = 0.07`. */
export function voteWords({ rule, temperature, priorCorrection }: Omit<VoteSettings, 'k'>): string {
  return `${rule} vote${rule === 'softmax' ? `, T = ${temperature}` : ''}${priorCorrection ? ', prior correction' : ''}`;
}
