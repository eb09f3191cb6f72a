import type { CurveSection, MapSection, PicturesSection, ReportPage, Section } from '../../report/section.js';
import type { FullReport } from '../full-report.js';
import type { UnknownReport } from '../unknown-report.js';
import { barsSection, confusionSection } from './labels-shown.js';
import { accuracyTable, figuresTable, unknownRuleNames, unknownTable } from './tables.js';
import { decimal, withInterval } from './words.js';

export interface EvaluatePageParts {
  readonly title: string;
  readonly subtitle: string;
  readonly report: FullReport;
  readonly unknown: UnknownReport | undefined;
  readonly mistakes: PicturesSection;
  readonly map: MapSection;
  readonly warnings: readonly string[];
}

/** The report of `nearvote evaluate` as a page. */
export function evaluatePage(parts: EvaluatePageParts): ReportPage {
  const { title, subtitle, report, unknown, mistakes, map, warnings } = parts;
  return {
    title,
    subtitle,
    facts: factsOf(report, unknown),
    sections: [
      ...(warnings.length === 0 ? [] : [warningsSection(warnings)]),
      figuresTable(report),
      confusionSection(report.confusion),
      {
        kind: 'reliability',
        title: 'Reliability',
        note: `Accuracy in each of 15 bins of the label's share of the vote; on the diagonal it could be read as a probability. ECE ${decimal(report.probability.ece)}.`,
        series: [{ name: 'share of the vote', bins: report.probability.bins }],
      },
      ...(unknown === undefined ? [] : [rocSection(unknown), unknownTable(unknown)]),
      barsSection(report.classes),
      accuracyTable(report),
      mistakes,
      map,
    ],
  };
}

function factsOf(report: FullReport, unknown: UnknownReport | undefined): ReportPage['facts'] {
  const { retrieval, intervals, served, clusters, probability } = report;
  return [
    { name: `accuracy, k = ${served.k}`, value: withInterval(served.accuracy, intervals.accuracy) },
    { name: 'macro F1', value: withInterval(report.macro.f1, intervals.macroF1) },
    { name: 'precision@1', value: withInterval(retrieval.precisionAt1, intervals.precisionAt1) },
    { name: 'MAP@R', value: withInterval(retrieval.mapAtR, intervals.mapAtR) },
    { name: 'AMI', value: decimal(clusters.ami) },
    { name: 'ECE', value: decimal(probability.ece) },
    ...(report.indexRecall === undefined
      ? []
      : [{ name: `index recall@${report.indexRecall.k}`, value: decimal(report.indexRecall.value) }]),
    ...(unknown?.rules ?? []).map(({ rule, auroc, aurocInterval }) => ({
      name: `AUROC of unknowns by ${unknownRuleNames[rule]}`,
      value: withInterval(auroc, aurocInterval, decimal),
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
    diagonal: true,
    series: rules.map(({ rule, auroc, roc }) => ({
      name: `${unknownRuleNames[rule]}: ${auroc.toFixed(3)}`,
      points: roc.map(({ falsePositives, truePositives }) => [falsePositives, truePositives] as const),
    })),
  };
}

function warningsSection(warnings: readonly string[]): Section {
  return {
    kind: 'table',
    title: 'Warnings',
    columns: [{ name: 'what' }],
    rows: warnings.map((warning) => [warning]),
  };
}
