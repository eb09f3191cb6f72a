import type { BarsSection, ConfusionSection, TableSection } from '../../report/section.js';
import { voteRules } from '../../vote/rules.js';
import type { FullReport } from '../full-report.js';
import type { CalibratedReport, Rate } from '../measure-confidence.js';
import type { UnknownReport } from '../measure-unknown.js';
import type { ClassScores, ConfusionMatrix } from '../metrics/accuracy.js';
import type { Interval } from '../metrics/intervals.js';
import { bandWords, confidenceRows, decimal, percent, perfectEce, withInterval } from './words.js';

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
  const row = (name: string, value: number, interval: Interval, form: typeof decimal): string[] => [
    name,
    form(value),
    `${form(interval.low)} to ${form(interval.high)}`,
  ];
  const share = (name: string, value: number, interval: Interval): string[] =>
    row(name, value, interval, percent);
  const plain = (name: string, value: number, interval: Interval): string[] =>
    row(name, value, interval, decimal);
  return {
    kind: 'table',
    title: 'Figures',
    note: `At the served k = ${served.k}; retrieval by exact search over ${retrieval.queries} images. Intervals are 95 %: Wilson's for shares of the images, by bootstrap over them for the others. Brier score and likelihood are of the shares of all labels.`,
    columns: [{ name: 'figure' }, right('value'), right('95 % interval')],
    rows: [
      share('accuracy', served.accuracy, intervals.accuracy),
      share('top-5 accuracy', report.top5, intervals.top5),
      share('macro precision', macro.precision, intervals.macroPrecision),
      share('macro recall', macro.recall, intervals.macroRecall),
      share('macro F1', macro.f1, intervals.macroF1),
      share('precision@1', retrieval.precisionAt1, intervals.precisionAt1),
      share('R-precision', retrieval.rPrecision, intervals.rPrecision),
      share('MAP@R', retrieval.mapAtR, intervals.mapAtR),
      ...retrieval.recall.map(({ k, value, interval }) => share(`retrieval recall@${k}`, value, interval)),
      plain(`AMI of ${clusters.clusters} clusters`, clusters.ami, clusters.intervals.ami),
      plain(`NMI of ${clusters.clusters} clusters`, clusters.nmi, clusters.intervals.nmi),
      plain('ECE of the vote, 15 bins', probability.ece, intervals.ece),
      [perfectEce, '', bandWords(probability.nullBand)],
      plain('Brier score of the vote', probability.brier, intervals.brier),
      plain('negative log-likelihood of the vote', probability.nll, intervals.nll),
      ...(report.indexRecall === undefined || report.indexRecallInterval === undefined
        ? []
        : [
            plain(
              `index recall@${report.indexRecall.k}`,
              report.indexRecall.value,
              report.indexRecallInterval,
            ),
          ]),
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
    rows: rules.map(({ rule, auroc, aupr, at95, intervals }) => [
      unknownRuleNames[rule],
      withInterval(auroc, intervals.auroc, decimal),
      withInterval(aupr, intervals.aupr, decimal),
      withInterval(at95.falsePositives, intervals.falsePositives),
      decimal(at95.threshold),
    ]),
  };
}

/** Which images the calibration was measured on. */
export function measuredOn({ images, of, fittedOn }: CalibratedReport): string {
  if (fittedOn === 0) return `On all ${images} images, none of which it was fitted on.`;
  return images === of
    ? `It was fitted on all ${images} images, so it looks better here than it is.`
    : `On the ${images} of ${of} images that it was not fitted on.`;
}

/** What the calibration makes of the shares of the vote. */
export function calibratedTable(calibrated: CalibratedReport): TableSection {
  const { share, confidence, epsilon, unknown, strangers } = calibrated;
  const rate = (name: string, { value, interval }: Rate): string[] => [
    name,
    '',
    withInterval(value, interval),
  ];
  return {
    kind: 'table',
    title: 'Calibrated confidence',
    note: `What is served as confidence, beside the share of the vote, as the probability that the label is right. ${measuredOn(calibrated)} Intervals are 95 %. Unknown is what has a p-value below ${epsilon}.`,
    columns: [{ name: 'figure' }, right('share of the vote'), right('calibrated')],
    rows: [
      ...confidenceRows([share, confidence]),
      rate('of these images called unknown', unknown),
      ...(strangers === undefined ? [] : [rate('of unknown images called unknown', strangers)]),
    ],
  };
}

/** More than this can be neither drawn nor read. */
const mostLabels = 50;

/** The whole matrix, or the part of it among the labels with most mistakes. */
export function confusionSection({ labels, counts }: ConfusionMatrix): ConfusionSection {
  const title = 'Confusion matrix';
  if (labels.length <= mostLabels) {
    return {
      kind: 'confusion',
      title,
      note: 'Rows are true labels, columns what was answered.',
      labels,
      counts,
    };
  }
  const mistakes = labels.map((_, label) =>
    counts.reduce((sum, row, truth) => {
      const given = truth === label ? row.reduce((all, count) => all + count, 0) : (row[label] ?? 0);
      return sum + given - (truth === label ? (row[label] ?? 0) : 0);
    }, 0),
  );
  const shown = [...labels.keys()]
    .sort((a, b) => (mistakes[b] ?? 0) - (mistakes[a] ?? 0) || a - b)
    .slice(0, mostLabels)
    .sort((a, b) => a - b);
  return {
    kind: 'confusion',
    title,
    note: `Rows are true labels, columns what was answered: the ${mostLabels} of ${labels.length} labels with most mistakes.`,
    labels: shown.map((label) => labels[label] ?? ''),
    counts: shown.map((truth) => shown.map((given) => counts[truth]?.[given] ?? 0)),
  };
}

/** Precision, recall and F1 of each label, or of those with the least F1. */
export function barsSection(classes: readonly ClassScores[]): BarsSection {
  const shown =
    classes.length <= mostLabels ? classes : classes.toSorted((a, b) => a.f1 - b.f1).slice(0, mostLabels);
  return {
    kind: 'bars',
    title: 'Precision, recall and F1 by label',
    ...(shown === classes
      ? {}
      : { note: `The ${mostLabels} of ${classes.length} labels with the least F1, worst first.` }),
    series: ['precision', 'recall', 'F1'],
    groups: shown.map(({ label, precision, recall, f1 }) => ({ label, values: [precision, recall, f1] })),
  };
}
