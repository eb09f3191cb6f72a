import type { NearestRows } from '../neighbours/searcher.js';
import type { Labelling } from './labelling.js';

/** Two images that are, or seem to be, one. `a` and `b` are rows: of the same index, or `a` of the queries. */
export interface Pair {
  readonly a: number;
  readonly b: number;
  /** Cosine. */
  readonly similarity: number;
}

export interface DuplicatePair extends Pair {
  readonly kind: 'same' | 'near';
}

/** Cosine from which two embeddings are of the same pixels: float32 noise is below 1e-6. */
const sameSimilarity = 0.99999;
const closest = 5;
export const surroundingNeighbours = 10;
/**
 * Encoders trained with SupCon crowd a class: no fixed cosine tells duplicates from mates. Nearness is therefore
 * relative, to the 10th neighbour and to how far the nearest is for most examples of the label. Of the 423 pairs of
 * CIFAR-10's training images that are so near, the pixels of 94 % correlate above 0.8, and the rest that were looked at
 * are the same photo cropped or recoloured; of the 6,459 at a cosine of 0.98 and more they do for 18 %.
 */
const nearRatio = 0.3;
const medianRatio = 0.5;
/**
 * Of 16 x 16 thumbnails. 4,000 random pairs of a CIFAR-10 class correlate at most 0.90, 90 % of them below 0.45. Pairs
 * among each other's five nearest are, from 0.92, by eye the same photo but for a few ships on a horizon.
 */
const alikeCorrelation = 0.92;
const unlikeCorrelation = 0.45;

/** The similarity of a query's neighbour at a place from 1, or of its last where there are fewer. */
function similarityAt(lists: NearestRows, query: number, place: number): number {
  return lists.similarities[query * lists.k + Math.min(place, lists.k) - 1] ?? NaN;
}

export interface CandidateOptions {
  /** Neighbours of the queries `a`, `[count, k]`; k of 10 or more says most. */
  readonly lists: NearestRows;
  /** Neighbours of the index's rows `b`; the same lists, where the queries are those rows. */
  readonly ofRows: NearestRows;
}

/** Pairs that are among each other's five nearest, or the same: those worth a look. Each once. */
export function candidatePairs({ lists, ofRows }: CandidateOptions): Pair[] {
  const within = lists === ofRows;
  const pairs: Pair[] = [];
  const seen = new Set<number>();
  for (let a = 0; a < lists.count; a++) {
    for (let i = 0; i < lists.k; i++) {
      const b = lists.rows[a * lists.k + i] ?? -1;
      const similarity = lists.similarities[a * lists.k + i] ?? NaN;
      const mutual = i < closest && similarity >= similarityAt(ofRows, b, closest);
      if (!mutual && similarity < sameSimilarity) continue;
      if (within) {
        const key = Math.min(a, b) * lists.count + Math.max(a, b);
        if (seen.has(key)) continue;
        seen.add(key);
      }
      pairs.push(within ? { a: Math.min(a, b), b: Math.max(a, b), similarity } : { a, b, similarity });
    }
  }
  return pairs;
}

export interface DuplicateOptions extends CandidateOptions {
  readonly pairs: readonly Pair[];
  /** Of the index's rows. */
  readonly labelling: Labelling;
  /** How far the pixels of a pair correlate, -1 to 1; undefined where the images are not at hand. */
  readonly correlation?: ((pair: Pair) => number | undefined) | undefined;
}

/**
 * The pairs that are duplicates. Without images, a pair is near where its distance is below 0.3 of the distance to the
 * 10th neighbour of either, and below half the median distance to the nearest of the label. With images, pixels that
 * correlate above 0.92 suffice, and below 0.45 they refute.
 */
export function duplicatePairs(options: DuplicateOptions): DuplicatePair[] {
  const { pairs, lists, ofRows, labelling, correlation } = options;
  const medians = medianNearest(ofRows, labelling);
  return pairs.flatMap((pair): DuplicatePair[] => {
    if (pair.similarity >= sameSimilarity) return [{ ...pair, kind: 'same' }];
    const crowding = Math.min(
      1 - similarityAt(lists, pair.a, surroundingNeighbours),
      1 - similarityAt(ofRows, pair.b, surroundingNeighbours),
    );
    const usual = medians[labelling.of[pair.b] ?? -1] ?? NaN;
    const near = 1 - pair.similarity < Math.min(nearRatio * crowding, medianRatio * usual);
    const pixels = correlation?.(pair);
    const found =
      pixels === undefined ? near : pixels >= alikeCorrelation || (near && pixels >= unlikeCorrelation);
    return found ? [{ ...pair, kind: 'near' }] : [];
  });
}

/** Of each label, the median cosine distance of its examples to their nearest. */
function medianNearest(lists: NearestRows, { names, of }: Labelling): number[] {
  const distances = names.map((): number[] => []);
  for (const [row, label] of of.entries()) distances[label]?.push(1 - similarityAt(lists, row, 1));
  return distances.map((all) => all.sort((a, b) => a - b)[all.length >> 1] ?? NaN);
}

/** Side of the thumbnails that are compared. */
export const comparedSide = 16;

/**
 * Pearson's correlation of two RGB pictures `[height, width, 3]` of one size about the mean of each channel, -1 to 1: 1
 * for the same picture, whatever its brightness and contrast; a shared colour alone counts for nothing. Two even
 * pictures correlate fully where they are alike to a grey level, else not at all.
 */
export function pixelCorrelation(a: Uint8Array, b: Uint8Array): number {
  const meansA = channelMeans(a);
  const meansB = channelMeans(b);
  let covariance = 0;
  let varianceA = 0;
  let varianceB = 0;
  for (let i = 0; i < a.length; i++) {
    const da = (a[i] ?? NaN) - (meansA[i % 3] ?? NaN);
    const db = (b[i] ?? NaN) - (meansB[i % 3] ?? NaN);
    covariance += da * db;
    varianceA += da * da;
    varianceB += db * db;
  }
  if (varianceA === 0 || varianceB === 0) {
    return a.every((value, i) => Math.abs(value - (b[i] ?? NaN)) <= 1) ? 1 : 0;
  }
  return covariance / Math.sqrt(varianceA * varianceB);
}

function channelMeans(pixels: Uint8Array): readonly number[] {
  const sums = [0, 0, 0];
  for (const [i, value] of pixels.entries()) sums[i % 3] = (sums[i % 3] ?? 0) + value;
  return sums.map((sum) => (3 * sum) / pixels.length);
}
