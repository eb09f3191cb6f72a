import type { NearestRows } from '../neighbours/searcher.js';
import type { Ballot } from '../vote/vote.js';

/** What the first `k` neighbours of a query have to say. */
export function ballotsOf(
  { lists, labels, k }: { lists: NearestRows; labels: readonly string[]; k: number },
  query: number,
): Ballot[] {
  return Array.from({ length: Math.min(k, lists.k) }, (_, i) => ({
    label: labels[lists.rows[query * lists.k + i] ?? -1] ?? '',
    similarity: lists.similarities[query * lists.k + i] ?? NaN,
  }));
}
