import type { BarsSection, ConfusionSection } from '../../report/section.js';
import type { ClassScores, ConfusionMatrix } from '../metrics/confusion.js';

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
