import type { NearestRows } from '../neighbours/searcher.js';
import type { Labelling } from './labelling.js';

/** Two images that are, or may be, one. `a` and `b` are rows: of the same index, or `a` of the queries. */
export interface Pair {
  readonly a: number;
  readonly b: number;
  /** Cosine. */
  readonly similarity: number;
}

/** Cosine from which two embeddings are equal: float32 noise is below 1e-6. */
const sameSimilarity = 0.99999;
const closest = 5;
export const surroundingNeighbours = 10;
/**
 * Encoders trained with SupCon crowd a class: no fixed cosine tells duplicates from mates. Nearness is therefore
 * relative, to the 10th neighbour and to how far the nearest is for most examples of the label. Even so it is a guess:
 * products on one backdrop lie as near.
 */
const nearRatio = 0.3;
const medianRatio = 0.5;

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

/** Pairs of which one is among the ten nearest of the other: those whose pixels are worth comparing. Each once. */
export function candidatePairs({ lists, ofRows }: CandidateOptions): Pair[] {
  const within = lists === ofRows;
  const pairs: Pair[] = [];
  const seen = new Set<number>();
  for (let a = 0; a < lists.count; a++) {
    for (let i = 0; i < Math.min(surroundingNeighbours, lists.k); i++) {
      const b = lists.rows[a * lists.k + i] ?? -1;
      const similarity = lists.similarities[a * lists.k + i] ?? NaN;
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

export interface NearOptions extends CandidateOptions {
  readonly pairs: readonly Pair[];
  /** Of the index's rows. */
  readonly labelling: Labelling;
}

/**
 * The pairs that may be duplicates by their embeddings alone: equal ones, and of those that are among each other's five
 * nearest the ones whose distance is below 0.3 of the distance to the 10th neighbour of either, and below half the median
 * distance to the nearest of the label.
 */
export function nearPairs({ pairs, lists, ofRows, labelling }: NearOptions): Pair[] {
  const medians = medianNearest(ofRows, labelling);
  return pairs.filter(({ a, b, similarity }) => {
    if (similarity >= sameSimilarity) return true;
    if (similarity < similarityAt(ofRows, b, closest) || similarity < similarityAt(lists, a, closest))
      return false;
    const crowding = Math.min(
      1 - similarityAt(lists, a, surroundingNeighbours),
      1 - similarityAt(ofRows, b, surroundingNeighbours),
    );
    const usual = medians[labelling.of[b] ?? -1] ?? NaN;
    return 1 - similarity < Math.min(nearRatio * crowding, medianRatio * usual);
  });
}

/** Of each label, the median cosine distance of its examples to their nearest. */
function medianNearest(lists: NearestRows, { names, of }: Labelling): number[] {
  const distances = names.map((): number[] => []);
  for (const [row, label] of of.entries()) distances[label]?.push(1 - similarityAt(lists, row, 1));
  return distances.map((all) => all.sort((a, b) => a - b)[all.length >> 1] ?? NaN);
}
