import type { Example } from '../domain/decision.js';
import type { NearestRows } from '../neighbours/searcher.js';
import type { Progress } from '../domain/progress.js';
import { candidatePairs, nearPairs, type Pair } from './duplicates.js';
import { described, type DuplicatesFinding, type LeakFinding } from './findings.js';
import type { Labelling } from './labelling.js';
import {
  closeSide,
  coarsePicture,
  comparedPicture,
  comparedSide,
  isSameUpClose,
  likenessOf,
  mayBeSame,
  type Likeness,
} from './same-picture.js';

/** RGB pictures `[side, side, 3]` of some rows; a row that cannot be read is left out. */
export type ReadPixels = (rows: readonly number[], side: number) => Promise<ReadonlyMap<number, Uint8Array>>;

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
  const isConflict = ({ a, b }: Pair): boolean => labelling.of[a] !== labelling.of[b];
  const { found, compare } = await findSame({
    ...{ labelling, lists: others, ofRows: others, isConflict, progress },
    ...{ queryPixels: readPixels, rowPixels: readPixels },
  });
  const lowest = new Map<number, number>();
  for (const { a, b, similarity } of found) {
    for (const row of [a, b]) lowest.set(row, Math.min(lowest.get(row) ?? Infinity, similarity));
  }
  const sure = await groupsByTheKept(
    found.filter(({ doubt }) => doubt === undefined),
    compare,
  );
  const together = sure.map(({ rows }) => new Set(rows));
  const doubted = found.filter(
    ({ doubt, a, b }) => doubt !== undefined && !together.some((rows) => rows.has(a) && rows.has(b)),
  );
  const unsure = clusters(doubted).map((rows): Group => {
    const members = new Set(rows);
    return { rows, links: doubted.filter(({ a }) => members.has(a)) };
  });
  return [...sure, ...unsure]
    .map(({ rows, links }): DuplicateGroup => {
      const members = described(rows, examples);
      const { labels } = members;
      const conflicting = new Set(labels).size > 1;
      const names = [...new Set(labels)].join(' and ');
      const decide = `decide between ${names}, then keep one`;
      const keep = links.some((link) => link.mirrored && isConflict(link))
        ? `${mirrorImages}, else ${decide}`
        : decide;
      return {
        rows,
        finding: {
          kind: conflicting ? 'conflicting-duplicates' : 'duplicates',
          ...members,
          score: Math.min(...rows.map((row) => lowest.get(row) ?? Infinity)),
          ...judged(links, conflicting ? keep : `keep one of ${rows.length}`),
        },
      };
    })
    .sort(
      (a, b) =>
        Number(b.finding.kind === 'conflicting-duplicates') -
          Number(a.finding.kind === 'conflicting-duplicates') || b.finding.score - a.finding.score,
    );
}

interface Group {
  /** Ascending. */
  readonly rows: readonly number[];
  /** Those that say so. */
  readonly links: readonly Duplicate[];
}

/**
 * Groups of which every member is the same picture as the first, which is the one to keep: what is like another member
 * alone is compared with the first, and where it differs it is a group of its own, at the least with what it is like.
 */
async function groupsByTheKept(
  links: readonly Duplicate[],
  compare: (pairs: readonly Pair[]) => Promise<readonly Duplicate[]>,
): Promise<Group[]> {
  const byRows = new Map(links.map((link) => [`${link.a}-${link.b}`, link]));
  const linkOf = new Map(links.flatMap((link) => [[link.a, link] as const, [link.b, link] as const]));
  const groups: Group[] = [];
  for (const members of clusters(links)) {
    let left = members;
    for (let [kept, ...others] = left; kept !== undefined; [kept, ...others] = left) {
      const a = kept;
      const unknown = others.filter((b) => !byRows.has(`${a}-${b}`));
      const compared =
        unknown.length === 0 ? [] : await compare(unknown.map((b) => ({ a, b, similarity: NaN })));
      const joined = [
        ...others.flatMap((b) => byRows.get(`${a}-${b}`) ?? []),
        ...compared.filter(({ doubt }) => doubt === undefined),
      ];
      const own = joined.length === 0 ? linkOf.get(a) : undefined;
      const reasons = own === undefined ? joined : [own];
      const rows = [...new Set([a, ...reasons.flatMap((link) => [link.a, link.b])])].sort((x, y) => x - y);
      groups.push({ rows, links: reasons });
      const taken = new Set(rows);
      left = others.filter((row) => !taken.has(row));
    }
  }
  return groups;
}

const mirrorImages = 'are mirror images; if left and right matter to the labels, both are right';

/** What a finding says of the links that it rests on. */
function judged(
  links: readonly Duplicate[],
  advice: string,
): Pick<DuplicatesFinding, 'confirmed' | 'mirrored' | 'suggestion'> {
  const doubt = links.find((link) => link.doubt !== undefined)?.doubt;
  return {
    confirmed: doubt === undefined,
    mirrored: links.some(({ mirrored }) => mirrored),
    // Embeddings alone take two products on one backdrop for one picture: nobody should delete by a guess.
    suggestion: doubt === undefined ? advice : `${doubts[doubt]}: look at them; if they are, ${advice}`,
  };
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
  const labelOf = test.map(({ label }) => labelling.names.indexOf(label));
  const { found } = await findSame({
    ...{ labelling, lists, ofRows: others, progress },
    isConflict: ({ a, b }) => labelOf[a] !== labelling.of[b],
    ...{ queryPixels: readTestPixels, rowPixels: readPixels },
  });
  const byQuery = new Map<number, Duplicate[]>();
  for (const pair of found) {
    const links = byQuery.get(pair.a);
    if (links === undefined) byQuery.set(pair.a, [pair]);
    else links.push(pair);
  }
  return [...byQuery]
    .map(([query, all]): Leak => {
      const sure = all.filter(({ doubt }) => doubt === undefined);
      const links = sure.length > 0 ? sure : all;
      const rows = links.map(({ b }) => b);
      const { id = '', label = '' } = test[query] ?? {};
      const members = described(rows, examples);
      const other = members.labels.find((one) => one !== label);
      const decide = `take it out of one of them, and decide between ${label} and ${other ?? ''}`;
      const conflict = links.some((link, i) => link.mirrored && members.labels[i] !== label)
        ? `${mirrorImages}, else ${decide}`
        : decide;
      const advice =
        other === undefined ? 'take it out of the test set or the index: it flatters the figures' : conflict;
      return {
        query,
        rows,
        finding: {
          kind: 'leak',
          test: { id, label },
          ...members,
          score: links[0]?.similarity ?? NaN,
          ...judged(links, advice),
        },
      };
    })
    .sort((a, b) => b.finding.score - a.finding.score);
}

/** Why a pair is not certain to be one picture. */
const doubts = {
  embeddings: 'may be the same picture by the embeddings alone',
  plain: 'may be the same picture, though little stands out and what shows up close differs',
  place: 'may be the same picture, though they differ in one place',
} as const;

/** A pair that is one picture by its pixels, or that may be. */
interface Duplicate extends Pair {
  /** Undefined where it is certain. */
  readonly doubt: keyof typeof doubts | undefined;
  readonly mirrored: boolean;
}

interface FindSameOptions {
  readonly labelling: Labelling;
  readonly lists: NearestRows;
  readonly ofRows: NearestRows;
  /** Whether the two have different labels: then a difference in one place may be what the labels tell apart. */
  readonly isConflict: (pair: Pair) => boolean;
  readonly queryPixels: ReadPixels | undefined;
  readonly rowPixels: ReadPixels | undefined;
  readonly progress: Progress;
}

/** The pairs that are or may be one picture, the nearest first, and what tells by pixels whether others are. */
async function findSame(options: FindSameOptions): Promise<{
  found: Duplicate[];
  compare: (pairs: readonly Pair[]) => Promise<readonly Duplicate[]>;
}> {
  const { labelling, lists, ofRows, isConflict, queryPixels, rowPixels, progress } = options;
  const pairs = candidatePairs({ lists, ofRows });
  const guessed = (some: readonly Pair[]): Duplicate[] =>
    nearPairs({ pairs: some, lists, ofRows, labelling }).map((pair) => ({
      ...pair,
      ...{ doubt: 'embeddings', mirrored: false },
    }));
  if (queryPixels === undefined || rowPixels === undefined) {
    return { found: guessed(pairs), compare: () => Promise.resolve([]) };
  }
  const within = lists === ofRows;
  const comparePixels = pixelComparer({ within, isConflict, progress, ofA: queryPixels, ofB: rowPixels });
  const { same, unread } = await comparePixels(pairs);
  // In the order of the lists, the nearest first.
  const found = new Map([...guessed(unread), ...same].map((one) => [`${one.a}-${one.b}`, one]));
  return {
    found: pairs.flatMap(({ a, b }) => found.get(`${a}-${b}`) ?? []),
    compare: async (some) => (await comparePixels(some)).same,
  };
}

interface PixelComparerOptions {
  /** Whether `a` and `b` are rows of one set. */
  readonly within: boolean;
  readonly isConflict: (pair: Pair) => boolean;
  readonly ofA: ReadPixels;
  readonly ofB: ReadPixels;
  readonly progress: Progress;
}

/** Images, or pairs of them, that are held at once: a compared picture takes 40 KB, a coarse one 1 KB, a close one 800. */
const readTogether = 512;
const closeTogether = 16;

/** Tells of pairs which are one picture, and of which an image cannot be read. */
function pixelComparer({ within, isConflict, ofA, ofB, progress }: PixelComparerOptions) {
  const coarseA = new Map<number, Float32Array>();
  const coarseB = within ? coarseA : new Map<number, Float32Array>();
  const rowsOf = (some: readonly Pair[], pick: (pair: Pair) => readonly number[]): number[] =>
    [...new Set(some.flatMap(pick))].sort((a, b) => a - b);
  const rowsA = (some: readonly Pair[]): number[] => rowsOf(some, ({ a, b }) => (within ? [a, b] : [a]));
  const rowsB = (some: readonly Pair[]): number[] => (within ? [] : rowsOf(some, ({ b }) => [b]));

  /** Both pictures of each pair, as `make` makes them; undefined where one cannot be read. */
  async function bothOf<T>(
    some: readonly Pair[],
    side: number,
    make: (rgb: Uint8Array) => T,
  ): Promise<(readonly [T, T] | undefined)[]> {
    const read = async (from: ReadPixels, rows: readonly number[]): Promise<Map<number, T>> =>
      new Map([...(await from(rows, side))].map(([row, rgb]) => [row, make(rgb)]));
    const madeA = await read(ofA, rowsA(some));
    const madeB = within ? madeA : await read(ofB, rowsB(some));
    return some.map((pair) => {
      const [one, other] = [madeA.get(pair.a), madeB.get(pair.b)];
      return one === undefined || other === undefined ? undefined : [one, other];
    });
  }

  async function lookAtAll(pairs: readonly Pair[]): Promise<void> {
    const [newA, newB] = [rowsA(pairs), rowsB(pairs)].map((rows, i) =>
      rows.filter((row) => !(i === 0 ? coarseA : coarseB).has(row)),
    ) as [number[], number[]];
    if (newA.length + newB.length === 0) return;
    progress.start({ name: 'looking', total: newA.length + newB.length, unit: 'images' });
    for (const [read, rows, into] of [[ofA, newA, coarseA] as const, [ofB, newB, coarseB] as const]) {
      for (let first = 0; first < rows.length; first += readTogether) {
        const some = rows.slice(first, first + readTogether);
        for (const [row, rgb] of await read(some, comparedSide)) into.set(row, coarsePicture(rgb));
        progress.advance(some.length);
      }
    }
    progress.finish();
  }

  return async (pairs: readonly Pair[]): Promise<{ same: Duplicate[]; unread: Pair[] }> => {
    await lookAtAll(pairs);
    const unread = pairs.filter(({ a, b }) => !coarseA.has(a) || !coarseB.has(b));
    const left = pairs.filter(({ a, b }) => {
      const [one, other] = [coarseA.get(a), coarseB.get(b)];
      return one !== undefined && other !== undefined && mayBeSame(one, other);
    });
    if (left.length === 0) return { same: [], unread };
    const alike: (Pair & { readonly likeness: Likeness })[] = [];
    progress.start({ name: 'comparing', total: left.length, unit: 'pairs' });
    for (let first = 0; first < left.length; first += readTogether) {
      const some = left.slice(first, first + readTogether);
      const pictures = await bothOf(some, comparedSide, comparedPicture);
      for (const [i, pair] of some.entries()) {
        const both = pictures[i];
        const likeness = both && likenessOf(...both);
        if (both === undefined) unread.push(pair);
        else if (likeness !== undefined) alike.push({ ...pair, likeness });
      }
      progress.advance(some.length);
    }
    progress.finish();

    const differUpClose = new Set<Pair>();
    const plain = alike.filter(({ likeness }) => likeness.isPlain);
    for (let first = 0; first < plain.length; first += closeTogether) {
      const some = plain.slice(first, first + closeTogether);
      const pictures = await bothOf(some, closeSide, (rgb) => rgb);
      for (const [i, pair] of some.entries()) {
        const both = pictures[i];
        if (both === undefined || !isSameUpClose(...both, pair.likeness)) differUpClose.add(pair);
      }
    }
    return {
      same: alike.map((pair): Duplicate => {
        const { a, b, similarity, likeness } = pair;
        const isOther = likeness.differsInPlace && isConflict(pair);
        const doubt = isOther ? 'place' : differUpClose.has(pair) ? 'plain' : undefined;
        return { a, b, similarity, doubt, mirrored: likeness.mirrored };
      }),
      unread,
    };
  };
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
