import type { NearestRows } from '../neighbours/searcher.js';

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

/** How crowded it is around an image: what "near" means there. */
interface Surroundings {
  /** Cosine to the 5th neighbour: a pair must be within it for both. */
  readonly fifth: number;
  /** Cosine distance to the 10th neighbour. */
  readonly typicalDistance: number;
}

/** Cosine from which two embeddings are of the same pixels: float32 noise is below 1e-6. */
const sameSimilarity = 0.99999;
const closest = 5;
export const surroundingNeighbours = 10;
/**
 * Encoders trained with SupCon crowd a class: no fixed cosine tells duplicates from mates. Nearness is therefore
 * relative. Of the 472 pairs of CIFAR-10's training images below 0.3 of the distance to the 10th neighbour, 96 % have
 * 8 x 8 thumbnails that correlate above 0.8, and those that do not are the same photo cropped or recoloured.
 */
const nearRatio = 0.3;
/**
 * Of 16 x 16 thumbnails. 4,012 random pairs of a CIFAR-10 class correlate at most 0.87, 10 % of them above 0.39. Pairs
 * among each other's five nearest are, from 0.92, by eye the same photo but for a few ships on a horizon.
 */
const alikeCorrelation = 0.92;
const unlikeCorrelation = 0.45;

const surroundingsOf = (lists: NearestRows, query: number): Surroundings => {
  const at = (place: number): number =>
    lists.similarities[query * lists.k + Math.min(place, lists.k) - 1] ?? NaN;
  return { fifth: at(closest), typicalDistance: 1 - at(surroundingNeighbours) };
};

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
      const mutual = i < closest && similarity >= surroundingsOf(ofRows, b).fifth;
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
  /** How far the pixels of a pair correlate, -1 to 1; undefined where the images are not at hand. */
  readonly correlation?: ((pair: Pair) => number | undefined) | undefined;
}

/**
 * The pairs that are duplicates. Without images, a pair is near where its distance is below 0.3 of the distance to the
 * 10th neighbour of either. With images, pixels that correlate above 0.92 suffice, and below 0.45 they refute.
 */
export function duplicatePairs({ pairs, lists, ofRows, correlation }: DuplicateOptions): DuplicatePair[] {
  return pairs.flatMap((pair): DuplicatePair[] => {
    if (pair.similarity >= sameSimilarity) return [{ ...pair, kind: 'same' }];
    const typical = Math.min(
      surroundingsOf(lists, pair.a).typicalDistance,
      surroundingsOf(ofRows, pair.b).typicalDistance,
    );
    const near = 1 - pair.similarity < nearRatio * typical;
    const pixels = correlation?.(pair);
    const found =
      pixels === undefined ? near : pixels >= alikeCorrelation || (near && pixels >= unlikeCorrelation);
    return found ? [{ ...pair, kind: 'near' }] : [];
  });
}
