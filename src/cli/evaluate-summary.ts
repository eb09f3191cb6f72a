import Table from 'cli-table3';
import type { EmbeddedDataset } from '../evaluate/embed-dataset.js';
import type { FullReport } from '../evaluate/full-report.js';
import type { CalibratedReport } from '../evaluate/measure-confidence.js';
import type { UnknownReport } from '../evaluate/measure-unknown.js';
import {
  accuracyTable,
  calibratedTable,
  figuresTable,
  measuredOn,
  unknownTable,
} from '../evaluate/page/tables.js';
import { percent } from '../evaluate/page/words.js';
import { noRules, tableOf } from './text-table.js';

export interface EvaluateSummaryParts {
  readonly report: FullReport;
  readonly unknown: UnknownReport | undefined;
  readonly calibrated: CalibratedReport | undefined;
  readonly embedded: EmbeddedDataset;
  readonly dataset: string;
  /** How the neighbours voted, in words. */
  readonly vote: string;
  readonly warnings: readonly string[];
}

/** An evaluation in words, for a terminal. */
export function evaluateSummary(parts: EvaluateSummaryParts): string {
  const { report, unknown, calibrated, embedded, dataset, vote, warnings } = parts;
  const classes = new Table({
    head: ['label', 'images', 'precision', 'recall', 'F1'],
    style: { head: [], border: [] },
    chars: noRules,
  });
  for (const { label, count, precision, recall, f1 } of report.classes) {
    classes.push([label, count, ...[precision, recall, f1].map(percent)]);
  }
  const { searchMsPerQuery: ms } = report;
  return [
    `${report.queries} images of ${dataset} against ${report.examples} examples, ${vote}`,
    tableOf(accuracyTable(report)),
    tableOf(figuresTable(report)),
    ...(calibrated === undefined
      ? []
      : [`calibrated confidence. ${measuredOn(calibrated)}`, tableOf(calibratedTable(calibrated))]),
    `at the served k = ${report.served.k}: ${percent(report.served.accuracy)}, per class`,
    classes.toString(),
    ...report.confusions.map(
      ({ truth, predicted, count }) => `${truth} taken for ${predicted}: ${count} of them`,
    ),
    ...(unknown === undefined ? [] : [`${unknown.images} unknown images`, tableOf(unknownTable(unknown))]),
    ...(report.indexRecall === undefined
      ? ['search is exact: hnswlib-node is not built, or --search exact']
      : []),
    `${embedded.imagesPerSecond.toFixed(0)} images/s decoded and embedded; search ms a query: ` +
      (ms.hnsw === undefined ? '' : `HNSW ${ms.hnsw.toFixed(3)}, `) +
      `exact ${ms.exact.toFixed(3)}`,
    ...warnings.map((warning) => `Warning: ${warning}`),
  ].join('\n');
}
