import type { Example } from '../domain/decision.js';
import type { NearestRows } from '../neighbours/searcher.js';
import {
  candidatePairs,
  duplicatePairs,
  pixelCorrelation,
  type DuplicatePair,
  type Pair,
} from './duplicates.js';
import { described, type DuplicatesFinding, type LeakFinding } from './findings.js';
import type { Labelling } from './labelling.js';

/** Small pictures of some rows, all of one size; a row that cannot be read is left out. */
export type ReadPixels = (rows: readonly number[]) => Promise<ReadonlyMap<number, Uint8Array>>;

export interface FindDuplicatesOptions {
  readonly examples: readonly Example[];
  readonly labelling: Labelling;
  /** Of every row of the index, the other rows nearest to it. */
  readonly others: NearestRows;
  readonly readPixels?: ReadPixels | undefined;
}

/** A group of duplicates, as rows. */
export interface DuplicateGroup {
  readonly rows: readonly number[];
  readonly finding: DuplicatesFinding;
}

/** The groups of duplicates in an index, those across labels first, then the likest first. */
export async function findDuplicates(options: FindDuplicatesOptions): Promise<DuplicateGroup[]> {
  const { examples, labelling, others, readPixels } = options;
  const pairs = await confirm({
    labelling,
    lists: others,
    ofRows: others,
    queryPixels: readPixels,
    rowPixels: readPixels,
  });
  const lowest = new Map<number, number>();
  for (const { a, b, similarity } of pairs) {
    for (const row of [a, b]) lowest.set(row, Math.min(lowest.get(row) ?? Infinity, similarity));
  }
  return clusters(pairs)
    .map((rows): DuplicateGroup => {
      const members = described(rows, examples);
      const { labels } = members;
      const conflicting = new Set(labels).size > 1;
      return {
        rows,
        finding: {
          kind: conflicting ? 'conflicting-duplicates' : 'duplicates',
          ...members,
          score: Math.min(...rows.map((row) => lowest.get(row) ?? NaN)),
          suggestion: conflicting
            ? `decide between ${[...new Set(labels)].join(' and ')}, then keep one`
            : `keep one of ${rows.length}`,
        },
      };
    })
    .sort(
      (a, b) =>
        Number(b.finding.kind === 'conflicting-duplicates') -
          Number(a.finding.kind === 'conflicting-duplicates') || b.finding.score - a.finding.score,
    );
}

export interface FindLeaksOptions extends FindDuplicatesOptions {
  readonly test: readonly { readonly id: string; readonly label: string }[];
  /** Of every test image, the rows of the index nearest to it. */
  readonly lists: NearestRows;
  readonly readTestPixels?: ReadPixels | undefined;
}

/** A test image and the rows that are its duplicates, the likest first. */
export interface Leak {
  readonly query: number;
  readonly rows: readonly number[];
  readonly finding: LeakFinding;
}

/** The test images that are in the index too, or all but, the likest first. */
export async function findLeaks(options: FindLeaksOptions): Promise<Leak[]> {
  const { examples, labelling, others, test, lists, readPixels, readTestPixels } = options;
  const pairs = await confirm({
    labelling,
    lists,
    ofRows: others,
    queryPixels: readTestPixels,
    rowPixels: readPixels,
  });
  const byQuery = new Map<number, DuplicatePair[]>();
  for (const pair of pairs) byQuery.set(pair.a, [...(byQuery.get(pair.a) ?? []), pair]);
  return [...byQuery]
    .map(([query, links]): Leak => {
      const rows = links.map(({ b }) => b);
      const { id = '', label = '' } = test[query] ?? {};
      const members = described(rows, examples);
      const other = members.labels.find((one) => one !== label);
      return {
        query,
        rows,
        finding: {
          kind: 'leak',
          test: { id, label },
          ...members,
          score: links[0]?.similarity ?? NaN,
          suggestion:
            other === undefined
              ? 'take it out of the test set or the index: it flatters the figures'
              : `take it out of one of them, and decide between ${label} and ${other}`,
        },
      };
    })
    .sort((a, b) => b.finding.score - a.finding.score);
}

interface ConfirmOptions {
  readonly labelling: Labelling;
  readonly lists: NearestRows;
  readonly ofRows: NearestRows;
  readonly queryPixels: ReadPixels | undefined;
  readonly rowPixels: ReadPixels | undefined;
}

async function confirm({
  labelling,
  lists,
  ofRows,
  queryPixels,
  rowPixels,
}: ConfirmOptions): Promise<DuplicatePair[]> {
  const pairs = candidatePairs({ lists, ofRows });
  if (queryPixels === undefined || rowPixels === undefined)
    return duplicatePairs({ pairs, labelling, lists, ofRows });
  const distinct = (pick: (pair: Pair) => number): number[] => [...new Set(pairs.map(pick))];
  const within = lists === ofRows;
  const ofB = await rowPixels(
    within ? [...new Set(pairs.flatMap(({ a, b }) => [a, b]))] : distinct(({ b }) => b),
  );
  const ofA = within ? ofB : await queryPixels(distinct(({ a }) => a));
  const correlation = ({ a, b }: Pair): number | undefined => {
    const [first, second] = [ofA.get(a), ofB.get(b)];
    return first === undefined || second === undefined ? undefined : pixelCorrelation(first, second);
  };
  return duplicatePairs({ pairs, labelling, lists, ofRows, correlation });
}

/**
 * Groups what links join, directly or through others (union-find, path halving): each group's members ascending,
 * groups in the order of their first member. What no link names is in no group.
 */
export function clusters(links: readonly { readonly a: number; readonly b: number }[]): number[][] {
  const parents = new Map<number, number>();
  const rootOf = (member: number): number => {
    let at = member;
    for (;;) {
      const parent = parents.get(at) ?? at;
      if (parent === at) return at;
      const grandparent = parents.get(parent) ?? parent;
      parents.set(at, grandparent);
      at = grandparent;
    }
  };
  for (const { a, b } of links) {
    for (const member of [a, b]) if (!parents.has(member)) parents.set(member, member);
    const [first, second] = [rootOf(a), rootOf(b)];
    // The smaller leads, so that the outcome does not depend on the order of the links.
    parents.set(Math.max(first, second), Math.min(first, second));
  }
  const groups = new Map<number, number[]>();
  for (const member of [...parents.keys()].sort((a, b) => a - b)) {
    const root = rootOf(member);
    const group = groups.get(root) ?? [];
    groups.set(root, group);
    group.push(member);
  }
  return [...groups.values()];
}
