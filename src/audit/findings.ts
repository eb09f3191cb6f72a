import type { Example } from '../domain/decision.js';
import type { Overlap } from './labelling.js';
import type { Suspicion } from './mislabelled.js';

/** One thing that the neighbours say about the data, a line of JSON. */
interface Found {
  /** Of the index's examples that it is about. */
  readonly ids: readonly string[];
  /** Of each of `ids`: where its image is in the dataset. */
  readonly sources: readonly string[];
  /** Of each of `ids`. */
  readonly labels: readonly string[];
  /** What to do, for a person to read. */
  readonly suggestion: string;
}

/** `score`: log odds of `suggested` against the label. */
interface MislabelledFinding extends Found {
  readonly kind: 'mislabelled';
  readonly score: number;
  readonly suggested: string;
  /** That the label is wrong. */
  readonly probability: number;
  /** The label's share of the neighbours' vote, and that of `suggested`. */
  readonly shares: { readonly own: number; readonly suggested: number };
}

/** `score`: the lowest cosine of the links that join them. Of one label, or `conflicting-duplicates` of several. */
export interface DuplicatesFinding extends Found {
  readonly kind: 'duplicates' | 'conflicting-duplicates';
  readonly score: number;
  /** By their pixels; else it is a guess, of which the suggestion says why, and the pictures have to be looked at. */
  readonly confirmed: boolean;
  /** Whether some of them are mirror images. */
  readonly mirrored: boolean;
}

/** `score`: the highest cosine of the test image to one of `ids`. */
export interface LeakFinding extends Found {
  readonly kind: 'leak';
  readonly score: number;
  /** By their pixels; else it is a guess, of which the suggestion says why, and the pictures have to be looked at. */
  readonly confirmed: boolean;
  /** Whether some of them are mirror images. */
  readonly mirrored: boolean;
  readonly test: { readonly id: string; readonly label: string };
}

/** `labels` are the two, `ids` and `sources` are empty. `score`: the symmetric confusion rate. */
interface OverlapFinding extends Found {
  readonly kind: 'overlap';
  readonly score: number;
}

/** `score`: how many held-out votes it took part in. */
interface DroppableFinding extends Found {
  readonly kind: 'droppable';
  readonly score: number;
}

export type Finding =
  MislabelledFinding | DuplicatesFinding | LeakFinding | OverlapFinding | DroppableFinding;

/** Labels that are taken for one another less often than this are merely neighbours. */
const overlapRate = 0.05;

/** What of an audit becomes findings. */
interface Audited {
  /** Most suspicious first. */
  readonly mislabelled: readonly Suspicion[];
  readonly duplicates: readonly { readonly finding: DuplicatesFinding }[];
  /** Undefined without test images. */
  readonly leaks: readonly { readonly finding: LeakFinding }[] | undefined;
  readonly overlaps: readonly Overlap[];
  /** `uses` is how many held-out votes each row took part in. */
  readonly condensed: { readonly dropped: Int32Array; readonly uses: Int32Array };
}

/** The examples in these rows, as a finding names them. */
export function described(
  rows: readonly number[],
  examples: readonly Example[],
): Pick<Found, 'ids' | 'sources' | 'labels'> {
  const found = rows.map((row) => examples[row] ?? { id: '', label: '', source: '' });
  return {
    ids: found.map(({ id }) => id),
    sources: found.map(({ source }) => source),
    labels: found.map(({ label }) => label),
  };
}

/** Everything that an audit found, as it is written to a file: by kind, within a kind what matters most first. */
export function findingsOf(audit: Audited, examples: readonly Example[]): Finding[] {
  const { condensed } = audit;
  return [
    ...audit.mislabelled.map((suspicion) => mislabelledFinding(suspicion, examples)),
    ...audit.duplicates.map(({ finding }) => finding),
    ...(audit.leaks ?? []).map(({ finding }) => finding),
    ...audit.overlaps.filter(({ rate }) => rate >= overlapRate).map(overlapFinding),
    ...Array.from(condensed.dropped, (row): DroppableFinding => {
      const score = condensed.uses[row] ?? 0;
      const suggestion = 'can be dropped with the others';
      return { kind: 'droppable', ...described([row], examples), score, suggestion };
    }),
  ];
}

function mislabelledFinding(
  { row, score, suggested, ownShare, suggestedShare, wrong }: Suspicion,
  examples: readonly Example[],
): MislabelledFinding {
  return {
    kind: 'mislabelled',
    ...described([row], examples),
    score,
    suggestion: `look at it: ${suggested} rather than ${examples[row]?.label ?? ''}?`,
    suggested,
    probability: wrong,
    shares: { own: ownShare, suggested: suggestedShare },
  };
}

function overlapFinding({ labels, taken, rate }: Overlap): OverlapFinding {
  const [first, second] = labels;
  return {
    kind: 'overlap',
    ids: [],
    sources: [],
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
