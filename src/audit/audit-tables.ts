import type { Example } from '../domain/decision.js';
import type { TableSection } from '../report/section.js';
import type { Overlap } from './overlap.js';
import type { Suspicion } from './suspicion.js';

/** The suspects as a table, where there are no pictures of them. */
export function mislabelledTable(suspects: readonly Suspicion[], examples: readonly Example[]): TableSection {
  return {
    kind: 'table',
    title: 'Likely mislabelled',
    note: 'The most suspicious first: log odds of the best other label against the one it has.',
    columns: [
      { name: 'id' },
      { name: 'label' },
      { name: 'its share of the vote', align: 'right' },
      { name: 'neighbours say' },
      { name: 'share', align: 'right' },
      { name: 'log odds', align: 'right' },
    ],
    rows: suspects.map(({ row, score, suggested, ownShare, suggestedShare }) => [
      examples[row]?.id ?? '',
      examples[row]?.label ?? '',
      share(ownShare),
      suggested,
      share(suggestedShare),
      score.toFixed(2),
    ]),
  };
}

const overlapsShown = 10;

/** The labels most often taken for one another. */
export function overlapTable(overlaps: readonly Overlap[]): TableSection {
  return {
    kind: 'table',
    title: 'Overlapping labels',
    note: 'The rate is the share of the examples of both that are taken for the other.',
    columns: [
      { name: 'labels' },
      { name: 'rate', align: 'right' },
      { name: 'first taken for second', align: 'right' },
      { name: 'second taken for first', align: 'right' },
    ],
    rows: overlaps
      .slice(0, overlapsShown)
      .map(({ labels, rate, taken }) => [labels.join(' and '), share(rate), ...taken.map(String)]),
  };
}

const share = (value: number): string => `${(100 * value).toFixed(1)} %`;
