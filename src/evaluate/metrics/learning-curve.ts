import { dot, type Embeddings } from '../../domain/embeddings.js';
import { permutation, sampleRows, seededRandom, seedOf } from '../../domain/seeded-random.js';
import type { WeightOptions } from '../../vote/rules.js';
import { vote } from '../../vote/vote.js';

/** How the neighbours of an image vote. */
export type CurveVote = WeightOptions & { readonly k: number };

export interface LearningCurveOptions {
  /** `[n, dimension]` */
  readonly embeddings: Embeddings;
  /** `[n]` */
  readonly labels: readonly string[];
  readonly vote: CurveVote;
  /** So many images of all labels together are asked, as many of each label as it has or as of any other. */
  readonly queries: number;
  /** How often the examples are drawn anew; 5 unless told. */
  readonly draws?: number | undefined;
  readonly seed: number;
}

export interface CurvePoint {
  readonly examples: number;
  /** The share of images that were given their label, each left out itself. */
  readonly accuracy: number;
}

export interface LabelCurve {
  readonly label: string;
  /** Of the examples that were given. */
  readonly examples: number;
  /** How many of them were asked. */
  readonly images: number;
  /** With so many examples of this label, beside all there are of the others; empty where there is only one. */
  readonly curve: readonly CurvePoint[];
  /** What twice as many would add to the last accuracy; null where it cannot be told. */
  readonly gain: number | null;
}

export interface LearningCurves {
  /** With so many examples of each label, or all that it has: mean over labels. */
  readonly all: readonly CurvePoint[];
  /** The greatest gain first, those of which it cannot be told before. */
  readonly labels: readonly LabelCurve[];
}

/** Examples of a label, beside all that there are. */
const sizes = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000];
/** The gain is the slope of so many last points. */
const fittedPoints = 3;

/**
 * How leave-one-out accuracy grows with the examples of a label. Examples are drawn by the seed, smaller draws being part
 * of larger ones and the same images asked of all, so that the points of a curve differ by the examples alone.
 */
export function learningCurves(options: LearningCurveOptions): LearningCurves {
  const { labels, queries, draws: drawCount = 5, seed } = options;
  const groups = groupsOf(labels);
  const groupOf = new Int32Array(labels.length);
  for (const [group, { rows }] of groups.entries()) for (const row of rows) groupOf[row] = group;
  const draws = Array.from({ length: drawCount }, (_, draw) => drawOrders(groups, seedOf(seed, draw)));
  // A label's only example cannot be left out of it.
  const measured = groups.filter(({ rows }) => rows.length > 1);
  const asked = shareOut(
    measured.map(({ rows }) => rows.length),
    queries,
  );
  const most = Math.max(0, ...measured.map(({ rows }) => rows.length - 1));
  const curves = new Map<string, Pick<LabelCurve, 'images' | 'curve'>>();
  const everywhere: CurvePoint[][] = [];
  for (const [i, { label, group, rows }] of measured.entries()) {
    const own = createTally(rows.length - 1);
    const all = createTally(most);
    const places = sampleRows({ size: rows.length, count: asked[i] ?? 1, seed: seedOf(seed, group) });
    for (const place of places) {
      const query = rows[place] ?? -1;
      const similarities = similaritiesTo(options.embeddings, query);
      const nothing = createNearest(options, similarities);
      const others = nothing.copy();
      for (let row = 0; row < labels.length; row++) if (groupOf[row] !== group) others.add(row);
      for (const { orders, byRank } of draws) {
        const rest = (orders[group] ?? []).filter((row) => row !== query);
        own.count({ label, nearest: others.copy(), rowsAt: (rank) => rest.slice(rank, rank + 1) });
        all.count({
          ...{ label, nearest: nothing.copy() },
          rowsAt: (rank) => [
            ...(byRank[rank] ?? []).filter((row) => groupOf[row] !== group),
            ...rest.slice(rank, rank + 1),
          ],
        });
      }
    }
    curves.set(label, { images: places.length, curve: own.points() });
    everywhere.push(all.points());
  }
  return {
    all: meanOf(everywhere),
    labels: groups
      .map(({ label, rows }): LabelCurve => {
        const { images, curve } = curves.get(label) ?? { images: 0, curve: [] };
        return { label, examples: rows.length, images, curve, gain: gainOf(curve) };
      })
      .sort(byGain),
  };
}

interface Group {
  readonly label: string;
  /** Its place among the groups. */
  readonly group: number;
  readonly rows: readonly number[];
}

function groupsOf(labels: readonly string[]): Group[] {
  const byLabel = new Map<string, number[]>();
  for (const [row, label] of labels.entries()) {
    const rows = byLabel.get(label);
    if (rows === undefined) byLabel.set(label, [row]);
    else rows.push(row);
  }
  return [...byLabel].map(([label, rows], group) => ({ label, group, rows }));
}

/** The rows of each group in an order that is drawn, and all rows by their place in it. */
interface Draw {
  readonly orders: readonly (readonly number[])[];
  readonly byRank: readonly (readonly number[])[];
}

function drawOrders(groups: readonly Group[], seed: number): Draw {
  const byRank: number[][] = [];
  const orders = groups.map(({ rows, group }) => {
    const order = Array.from(
      permutation(rows.length, seededRandom(seedOf(seed, group))),
      (i) => rows[i] ?? -1,
    );
    for (const [rank, row] of order.entries()) (byRank[rank] ??= []).push(row);
    return order;
  });
  return { orders, byRank };
}

/** How many each gets, at least 1 and at most what it has: what small ones leave is for the others. */
export function shareOut(counts: readonly number[], total: number): number[] {
  const shares = counts.map(() => 0);
  let left = total;
  const smallestFirst = [...counts.entries()].sort(([, a], [, b]) => a - b);
  for (const [done, [i, count]] of smallestFirst.entries()) {
    const share = Math.max(1, Math.min(count, Math.floor(left / (counts.length - done))));
    shares[i] = share;
    left -= share;
  }
  return shares;
}

/** `[n]`, cosines to one of the rows. */
function similaritiesTo({ values, count, dimension }: Embeddings, query: number): Float64Array {
  const similarities = new Float64Array(count);
  for (let row = 0; row < count; row++) {
    similarities[row] = dot(values, query * dimension, values, row * dimension, dimension);
  }
  return similarities;
}

/** The k nearest of the rows that were added. */
interface Nearest {
  add(row: number): void;
  /** What they vote for; undefined where there are none. */
  label(): string | undefined;
  copy(): Nearest;
}

function createNearest(
  { labels, vote: settings }: Pick<LearningCurveOptions, 'labels' | 'vote'>,
  similarities: Float64Array,
  start: readonly number[] = [],
): Nearest {
  const { k } = settings;
  const rows = [...start];
  const similarityAt = (place: number): number => similarities[rows[place] ?? -1] ?? -Infinity;
  return {
    add: (row) => {
      const similarity = similarities[row] ?? NaN;
      if (rows.length >= k && similarity <= similarityAt(k - 1)) return;
      let place = Math.min(rows.length, k - 1);
      for (; place > 0 && similarityAt(place - 1) < similarity; place--) rows[place] = rows[place - 1] ?? -1;
      rows[place] = row;
    },
    label: () => {
      const ballots = rows.map((row) => ({ label: labels[row] ?? '', similarity: similarities[row] ?? NaN }));
      return vote(ballots, settings)[0]?.label;
    },
    copy: () => createNearest({ labels, vote: settings }, similarities, rows),
  };
}

interface Asked {
  /** The right one. */
  readonly label: string;
  /** What is there beside the rows that come. */
  readonly nearest: Nearest;
  /** The rows that come with the next example, from 0. */
  readonly rowsAt: (rank: number) => readonly number[];
}

/** Accuracy at each size up to `most`, and at `most`. */
function createTally(most: number): { count(asked: Asked): void; points(): CurvePoint[] } {
  const examples = most === 0 ? [] : [...sizes.filter((size) => size < most), most];
  const right = examples.map(() => 0);
  let asked = 0;
  return {
    count: ({ label, nearest, rowsAt }) => {
      let rank = 0;
      asked++;
      for (const [at, size] of examples.entries()) {
        for (; rank < size; rank++) for (const row of rowsAt(rank)) nearest.add(row);
        if (nearest.label() === label) right[at] = (right[at] ?? 0) + 1;
      }
    },
    points: () => examples.map((size, at) => ({ examples: size, accuracy: (right[at] ?? 0) / asked })),
  };
}

function meanOf(curves: readonly (readonly CurvePoint[])[]): CurvePoint[] {
  return (curves[0] ?? []).map(({ examples }, at) => ({
    examples,
    accuracy: curves.reduce((sum, curve) => sum + (curve[at]?.accuracy ?? NaN), 0) / curves.length,
  }));
}

/**
 * What doubling the examples would add, as far as the curve goes on as it went: the slope of a straight line through the
 * last points over the logarithm of the examples, at most what is missing to 1. Of a single point, all that is missing. Where
 * none was recognised yet, nothing says where the curve begins to rise.
 */
function gainOf(curve: readonly CurvePoint[]): number | null {
  const last = curve.at(-1);
  if (last === undefined) return null;
  const missing = 1 - last.accuracy;
  const fitted = curve.slice(-fittedPoints);
  if (fitted.length === 1) return missing;
  if (last.accuracy === 0) return null;
  const mean = (of: (point: CurvePoint) => number): number =>
    fitted.reduce((sum, point) => sum + of(point), 0) / fitted.length;
  const size = ({ examples }: CurvePoint): number => Math.log2(examples);
  const [x, y] = [mean(size), mean(({ accuracy }) => accuracy)];
  const slope =
    mean((point) => (size(point) - x) * (point.accuracy - y)) / mean((point) => (size(point) - x) ** 2);
  return Math.min(Math.max(slope, 0), missing);
}

function byGain(a: LabelCurve, b: LabelCurve): number {
  if (a.gain === null || b.gain === null) return Number(a.gain !== null) - Number(b.gain !== null);
  return b.gain - a.gain || a.examples - b.examples;
}
