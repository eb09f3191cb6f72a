import type { Example } from '../domain/decision.js';
import type { Audit } from './audit-index.js';
import type { DroppableFinding, Finding, MislabelledFinding, OverlapFinding } from './finding.js';
import type { Overlap } from './overlap.js';
import type { Suspicion } from './suspicion.js';

/** Labels that are taken for one another less often than this are merely neighbours. */
const overlapRate = 0.05;

/** Everything that an audit found, as it is written to a file: by kind, within a kind what matters most first. */
export function findingsOf(audit: Audit, examples: readonly Example[]): Finding[] {
  const { condensed } = audit;
  return [
    ...audit.mislabelled.map((suspicion) => mislabelledFinding(suspicion, examples)),
    ...audit.duplicates.map(({ finding }) => finding),
    ...(audit.leaks ?? []).map(({ finding }) => finding),
    ...audit.overlaps.filter(({ rate }) => rate >= overlapRate).map(overlapFinding),
    ...Array.from(condensed.dropped, (row): DroppableFinding => {
      const { id = '', label = '' } = examples[row] ?? {};
      const score = condensed.uses[row] ?? 0;
      return {
        kind: 'droppable',
        ids: [id],
        labels: [label],
        score,
        suggestion: 'can be dropped with the others',
      };
    }),
  ];
}

function mislabelledFinding(
  { row, score, suggested, ownShare, suggestedShare }: Suspicion,
  examples: readonly Example[],
): MislabelledFinding {
  const { id = '', label = '' } = examples[row] ?? {};
  return {
    kind: 'mislabelled',
    ids: [id],
    labels: [label],
    score,
    suggestion: `look at it: ${suggested} rather than ${label}?`,
    suggested,
    shares: { own: ownShare, suggested: suggestedShare },
  };
}

function overlapFinding({ labels, taken, rate }: Overlap): OverlapFinding {
  const [first, second] = labels;
  return {
    kind: 'overlap',
    ids: [],
    labels,
    score: rate,
    suggestion: `${taken[0]} ${first} are taken for ${second}, ${taken[1]} the other way: tell them apart or join them`,
  };
}

export type FindingCounts = Readonly<Record<Finding['kind'], number>>;

export function countFindings(findings: readonly Finding[]): FindingCounts {
  const counts: Record<Finding['kind'], number> = {
    mislabelled: 0,
    duplicates: 0,
    'conflicting-duplicates': 0,
    leak: 0,
    overlap: 0,
    droppable: 0,
  };
  for (const { kind } of findings) counts[kind]++;
  return counts;
}
