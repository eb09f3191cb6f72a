import type {
  CurveSection,
  MapSection,
  PicturesSection,
  ReliabilitySection,
  ReportPage,
} from '../../report/section.js';
import type { FullReport } from '../full-report.js';
import type { CalibratedReport } from '../measure-confidence.js';
import type { UnknownReport } from '../measure-unknown.js';
import {
  accuracyTable,
  barsSection,
  calibratedTable,
  confusionSection,
  figuresTable,
  measuredOn,
  unknownRuleNames,
  unknownTable,
} from './tables.js';
import { bandWords, decimal, perfectEce, warningsSections, withInterval } from './words.js';

export interface EvaluatePageParts {
  readonly title: string;
  readonly subtitle: string;
  readonly report: FullReport;
  readonly unknown: UnknownReport | undefined;
  /** Where a calibration is served. */
  readonly calibrated: CalibratedReport | undefined;
  readonly mistakes: PicturesSection;
  readonly map: MapSection;
  readonly warnings: readonly string[];
}

/** The report of `nearvote evaluate` as a page. */
export function evaluatePage(parts: EvaluatePageParts): ReportPage {
  const { title, subtitle, report, unknown, calibrated, mistakes, map, warnings } = parts;
  return {
    title,
    subtitle,
    facts: factsOf(parts),
    sections: [
      ...warningsSections(warnings),
      figuresTable(report),
      confusionSection(report.confusion),
      ...(calibrated === undefined ? [] : [calibratedTable(calibrated)]),
      reliabilitySection(report, calibrated),
      ...(unknown === undefined ? [] : [rocSection(unknown), unknownTable(unknown)]),
      barsSection(report.classes),
      accuracyTable(report),
      mistakes,
      map,
    ],
  };
}

function reliabilitySection(
  { probability }: FullReport,
  calibrated: CalibratedReport | undefined,
): ReliabilitySection {
  return {
    kind: 'reliability',
    title: 'Reliability',
    note:
      'Accuracy in each of 15 bins of confidence: on the diagonal it can be read as a probability.' +
      (calibrated === undefined ? '' : ` ${measuredOn(calibrated)}`),
    series: (calibrated === undefined
      ? [{ name: 'share of the vote', ...probability }]
      : [
          { name: 'share of the vote', ...calibrated.share },
          { name: 'calibrated confidence', ...calibrated.confidence },
        ]
    ).map(({ name, ece, nullBand, bins }) => ({
      name: `${name}: ECE ${decimal(ece)}, of a perfect one ${bandWords(nullBand)}`,
      bins,
    })),
  };
}

function factsOf({
  report,
  unknown,
  calibrated,
}: Pick<EvaluatePageParts, 'report' | 'unknown' | 'calibrated'>): ReportPage['facts'] {
  const { retrieval, intervals, served, clusters, probability } = report;
  return [
    { name: `accuracy, k = ${served.k}`, value: withInterval(served.accuracy, intervals.accuracy) },
    { name: 'macro F1', value: withInterval(report.macro.f1, intervals.macroF1) },
    { name: 'precision@1', value: withInterval(retrieval.precisionAt1, intervals.precisionAt1) },
    { name: 'MAP@R', value: withInterval(retrieval.mapAtR, intervals.mapAtR) },
    { name: 'AMI', value: withInterval(clusters.ami, clusters.intervals.ami, decimal) },
    { name: 'ECE of the vote', value: withInterval(probability.ece, intervals.ece, decimal) },
    { name: perfectEce, value: bandWords(probability.nullBand) },
    ...(calibrated === undefined
      ? []
      : [
          {
            name: 'ECE, calibrated',
            value: withInterval(calibrated.confidence.ece, calibrated.confidence.intervals.ece, decimal),
          },
          { name: `${perfectEce}, calibrated`, value: bandWords(calibrated.confidence.nullBand) },
          {
            name: 'called unknown',
            value: withInterval(calibrated.unknown.value, calibrated.unknown.interval),
          },
        ]),
    ...(report.indexRecall === undefined || report.indexRecallInterval === undefined
      ? []
      : [
          {
            name: `index recall@${report.indexRecall.k}`,
            value: withInterval(report.indexRecall.value, report.indexRecallInterval, decimal),
          },
        ]),
    ...(unknown?.rules ?? []).map(({ rule, auroc, intervals: of }) => ({
      name: `AUROC of unknowns by ${unknownRuleNames[rule]}`,
      value: withInterval(auroc, of.auroc, decimal),
    })),
    { name: 'images', value: String(report.queries) },
    { name: 'examples', value: String(report.examples) },
  ];
}

function rocSection({ images, rules }: UnknownReport): CurveSection {
  return {
    kind: 'curve',
    title: 'Telling unknown images',
    note: `${images} images of no label of the index. Each point is a threshold: what share of known images it keeps, and what share of unknown ones slip through. The area under each curve is named.`,
    x: 'unknown images kept (false positives)',
    y: 'known images kept (true positives)',
    diagonal: 'chance',
    series: rules.map(({ rule, auroc, roc }) => ({
      name: `${unknownRuleNames[rule]}: ${auroc.toFixed(3)}`,
      points: roc.map(({ falsePositives, truePositives }) => [falsePositives, truePositives] as const),
    })),
  };
}
