import type { Example } from '../domain/decision.js';
import type { NearestRows } from '../neighbours/searcher.js';
import type { Progress } from '../domain/progress.js';
import { candidatePairs, nearPairs, type Pair } from './duplicates.js';
import { described, type DuplicatesFinding, type LeakFinding } from './findings.js';
import type { Labelling } from './labelling.js';
import {
  coarsePicture,
  comparedPicture,
  isSamePicture,
  mayBeSame,
  type ComparedPicture,
} from './same-picture.js';

/** RGB pictures `[64, 64, 3]` of some rows; a row that cannot be read is left out. */
export type ReadPixels = (rows: readonly number[]) => Promise<ReadonlyMap<number, Uint8Array>>;

export interface FindDuplicatesOptions {
  readonly examples: readonly Example[];
  readonly labelling: Labelling;
  /** Of every row of the index, the other rows nearest to it. */
  readonly others: NearestRows;
  readonly readPixels?: ReadPixels | undefined;
  readonly progress: Progress;
}

/** A group of duplicates, as rows. */
export interface DuplicateGroup {
  readonly rows: readonly number[];
  readonly finding: DuplicatesFinding;
}

/** The groups of duplicates in an index, those across labels first, then the likest first. */
export async function findDuplicates(options: FindDuplicatesOptions): Promise<DuplicateGroup[]> {
  const { examples, labelling, others, readPixels, progress } = options;
  const pairs = await confirm({
    labelling,
    lists: others,
    ofRows: others,
    queryPixels: readPixels,
    rowPixels: readPixels,
    progress,
  });
  const lowest = new Map<number, number>();
  const guessed = new Set<number>();
  for (const { a, b, similarity, confirmed } of pairs) {
    for (const row of [a, b]) {
      lowest.set(row, Math.min(lowest.get(row) ?? Infinity, similarity));
      if (!confirmed) guessed.add(row);
    }
  }
  return clusters(pairs)
    .map((rows): DuplicateGroup => {
      const members = described(rows, examples);
      const { labels } = members;
      const conflicting = new Set(labels).size > 1;
      const confirmed = !rows.some((row) => guessed.has(row));
      const names = [...new Set(labels)].join(' and ');
      const advice = conflicting ? `decide between ${names}, then keep one` : `keep one of ${rows.length}`;
      return {
        rows,
        finding: {
          kind: conflicting ? 'conflicting-duplicates' : 'duplicates',
          ...members,
          ...{ score: Math.min(...rows.map((row) => lowest.get(row) ?? NaN)), confirmed },
          suggestion: confirmed ? advice : lookFirst(advice),
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
  const { examples, labelling, others, test, lists, readPixels, readTestPixels, progress } = options;
  const pairs = await confirm({
    labelling,
    lists,
    ofRows: others,
    queryPixels: readTestPixels,
    rowPixels: readPixels,
    progress,
  });
  const byQuery = new Map<number, Duplicate[]>();
  for (const pair of pairs) byQuery.set(pair.a, [...(byQuery.get(pair.a) ?? []), pair]);
  return [...byQuery]
    .map(([query, links]): Leak => {
      const rows = links.map(({ b }) => b);
      const { id = '', label = '' } = test[query] ?? {};
      const members = described(rows, examples);
      const other = members.labels.find((one) => one !== label);
      const confirmed = links.every((link) => link.confirmed);
      const advice =
        other === undefined
          ? 'take it out of the test set or the index: it flatters the figures'
          : `take it out of one of them, and decide between ${label} and ${other}`;
      return {
        query,
        rows,
        finding: {
          kind: 'leak',
          test: { id, label },
          ...members,
          ...{ score: links[0]?.similarity ?? NaN, confirmed },
          suggestion: confirmed ? advice : lookFirst(advice),
        },
      };
    })
    .sort((a, b) => b.finding.score - a.finding.score);
}

/** Embeddings alone take two products on one backdrop for one picture: nobody should delete by them. */
function lookFirst(advice: string): string {
  return `may be the same picture by the embeddings alone: look at them; if they are, ${advice}`;
}

interface ConfirmOptions {
  readonly labelling: Labelling;
  readonly lists: NearestRows;
  readonly ofRows: NearestRows;
  readonly queryPixels: ReadPixels | undefined;
  readonly rowPixels: ReadPixels | undefined;
  readonly progress: Progress;
}

/** A pair whose pixels say that it is one picture, or that may be one by its embeddings, where there are no pixels. */
interface Duplicate extends Pair {
  readonly confirmed: boolean;
}

async function confirm(options: ConfirmOptions): Promise<Duplicate[]> {
  const { labelling, lists, ofRows, queryPixels, rowPixels, progress } = options;
  const pairs = candidatePairs({ lists, ofRows });
  const guessed = (some: readonly Pair[]): Duplicate[] =>
    nearPairs({ pairs: some, lists, ofRows, labelling }).map((pair) => ({ ...pair, confirmed: false }));
  if (queryPixels === undefined || rowPixels === undefined) return guessed(pairs);
  const within = lists === ofRows;
  const { same, unread } = await comparePixels({
    ...{ pairs, within, progress },
    ofA: queryPixels,
    ofB: rowPixels,
  });
  // In the order of the lists, the nearest first.
  const found = new Map(
    [...guessed(unread), ...same.map((pair) => ({ ...pair, confirmed: true }))].map((one) => [
      `${one.a}-${one.b}`,
      one,
    ]),
  );
  return pairs.flatMap(({ a, b }) => found.get(`${a}-${b}`) ?? []);
}

interface CompareOptions {
  readonly pairs: readonly Pair[];
  /** Whether `a` and `b` are rows of one set. */
  readonly within: boolean;
  readonly ofA: ReadPixels;
  readonly ofB: ReadPixels;
  readonly progress: Progress;
}

/** Images, or pairs of them, that are held at once: a compared picture takes 40 KB, a coarse one 1 KB. */
const readTogether = 512;

/** The pairs that are one picture, and those of which an image cannot be read. */
async function comparePixels({
  pairs,
  within,
  ofA,
  ofB,
  progress,
}: CompareOptions): Promise<{ same: Pair[]; unread: Pair[] }> {
  const rowsOf = (some: readonly Pair[], pick: (pair: Pair) => readonly number[]): number[] =>
    [...new Set(some.flatMap(pick))].sort((a, b) => a - b);
  const rowsA = rowsOf(pairs, ({ a, b }) => (within ? [a, b] : [a]));
  const rowsB = within ? [] : rowsOf(pairs, ({ b }) => [b]);
  progress.start({ name: 'looking', total: rowsA.length + rowsB.length, unit: 'images' });
  const coarse = async (read: ReadPixels, rows: readonly number[]): Promise<Map<number, Float32Array>> => {
    const made = new Map<number, Float32Array>();
    for (let first = 0; first < rows.length; first += readTogether) {
      const some = rows.slice(first, first + readTogether);
      for (const [row, rgb] of await read(some)) made.set(row, coarsePicture(rgb));
      progress.advance(some.length);
    }
    return made;
  };
  const coarseA = await coarse(ofA, rowsA);
  const coarseB = within ? coarseA : await coarse(ofB, rowsB);
  progress.finish();

  const unread = pairs.filter(({ a, b }) => !coarseA.has(a) || !coarseB.has(b));
  const left = pairs.filter(({ a, b }) => {
    const [one, other] = [coarseA.get(a), coarseB.get(b)];
    return one !== undefined && other !== undefined && mayBeSame(one, other);
  });
  const same: Pair[] = [];
  progress.start({ name: 'comparing', total: left.length, unit: 'pairs' });
  for (let first = 0; first < left.length; first += readTogether) {
    const some = left.slice(first, first + readTogether);
    const pictures = async (
      read: ReadPixels,
      rows: readonly number[],
    ): Promise<Map<number, ComparedPicture>> =>
      new Map([...(await read(rows))].map(([row, rgb]) => [row, comparedPicture(rgb)]));
    const picturesA = await pictures(
      ofA,
      rowsOf(some, ({ a, b }) => (within ? [a, b] : [a])),
    );
    const picturesB = within
      ? picturesA
      : await pictures(
          ofB,
          rowsOf(some, ({ b }) => [b]),
        );
    for (const pair of some) {
      const [one, other] = [picturesA.get(pair.a), picturesB.get(pair.b)];
      if (one === undefined || other === undefined) unread.push(pair);
      else if (isSamePicture(one, other)) same.push(pair);
    }
    progress.advance(some.length);
  }
  progress.finish();
  return { same, unread };
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
