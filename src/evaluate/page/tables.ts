import { voteRules } from '../../vote/rules.js';
import type { TableSection } from '../../report/section.js';
import type { FullReport } from '../full-report.js';
import type { UnknownReport } from '../unknown-report.js';
import { decimal, percent, withInterval } from './words.js';

const right = (name: string): { name: string; align: 'right' } => ({ name, align: 'right' });

/** Accuracy at each k: as voted, by both searches, and by every rule. */
export function accuracyTable({ accuracy, rules }: FullReport): TableSection {
  return {
    kind: 'table',
    title: 'Accuracy by k and rule',
    note: 'The rules by exact search; HNSW and exact by the rule that is served.',
    columns: [right('k'), right('HNSW'), right('exact'), ...voteRules.map(right)],
    rows: accuracy.map(({ k, hnsw, exact }, i) => [
      String(k),
      percent(hnsw),
      percent(exact),
      ...(rules[i]?.rules ?? []).map(({ accuracy: share }) => percent(share)),
    ]),
  };
}

/** Every figure of the whole with its interval. */
export function figuresTable(report: FullReport): TableSection {
  const { retrieval, clusters, probability, macro, intervals, served } = report;
  const share = (name: string, value: number, interval?: { low: number; high: number }): string[] => [
    name,
    percent(value),
    interval === undefined ? '' : `${percent(interval.low)} to ${percent(interval.high)}`,
  ];
  return {
    kind: 'table',
    title: 'Figures',
    note: `At the served k = ${served.k}; retrieval by exact search over ${retrieval.queries} images. Intervals are 95 %, by bootstrap over the images.`,
    columns: [{ name: 'figure' }, right('value'), right('95 % interval')],
    rows: [
      share('accuracy', served.accuracy, intervals.accuracy),
      share('top-5 accuracy', report.top5, intervals.top5),
      share('macro precision', macro.precision),
      share('macro recall', macro.recall),
      share('macro F1', macro.f1, intervals.macroF1),
      share('precision@1', retrieval.precisionAt1, intervals.precisionAt1),
      share('R-precision', retrieval.rPrecision, intervals.rPrecision),
      share('MAP@R', retrieval.mapAtR, intervals.mapAtR),
      ...retrieval.recall.map(({ k, value }) => share(`retrieval recall@${k}`, value)),
      [`AMI of ${clusters.clusters} clusters`, decimal(clusters.ami), ''],
      [`NMI of ${clusters.clusters} clusters`, decimal(clusters.nmi), ''],
      ['ECE, 15 bins', decimal(probability.ece), ''],
      [
        'Brier score',
        decimal(probability.brier),
        `${decimal(intervals.brier.low)} to ${decimal(intervals.brier.high)}`,
      ],
      [
        'negative log-likelihood',
        decimal(probability.nll),
        `${decimal(intervals.nll.low)} to ${decimal(intervals.nll.high)}`,
      ],
      ...(report.indexRecall === undefined
        ? []
        : [[`index recall@${report.indexRecall.k}`, decimal(report.indexRecall.value), '']]),
    ],
  };
}

export const unknownRuleNames = { similarity: 'k-th similarity', vote: 'vote score' } as const;

/** Both rules for telling unknown images. */
export function unknownTable({ images, k, rules }: UnknownReport): TableSection {
  return {
    kind: 'table',
    title: 'Unknown images',
    note: `${images} images of no label of the index against those of the data, told by the similarity to the k-th neighbour (Sun et al. 2022), k = ${k}, or by the highest vote score. Known is the positive class, so AUPR rises with the share of known images.`,
    columns: [{ name: 'rule' }, right('AUROC'), right('AUPR'), right('FPR at 95 % TPR'), right('threshold')],
    rows: rules.map(({ rule, auroc, aurocInterval, aupr, at95 }) => [
      unknownRuleNames[rule],
      withInterval(auroc, aurocInterval, decimal),
      decimal(aupr),
      percent(at95.falsePositives),
      decimal(at95.threshold),
    ]),
  };
}
