import { dot } from '../domain/embeddings.js';

/** An image that a person could be asked about. */
interface Candidate {
  /** From 0 to 1. */
  readonly uncertainty: number;
  /** `[dimension]`, of unit length. */
  readonly embedding: Float32Array;
}

/**
 * The `limit` candidates from which most is to be learned, the first being the most uncertain: each next one has the
 * greatest product of its uncertainty and its distance, 1 - cosine, to the nearest of those before it. Without the
 * uncertainty that is k-centre greedy, the core-set selection of Sener & Savarese 2018 (arXiv:1708.00489): a page is not
 * twenty pictures of one thing. Equal candidates stay in their order.
 */
export function mostUsefulFirst<One extends Candidate>(candidates: readonly One[], limit: number): One[] {
  // Nothing chosen yet is nearer than any two directions can be far apart.
  const nearest = new Float64Array(candidates.length).fill(2);
  const left = new Set(candidates.keys());
  const chosen: One[] = [];
  while (chosen.length < limit && left.size > 0) {
    let best = -1;
    let most = -Infinity;
    for (const i of left) {
      const worth = (candidates[i]?.uncertainty ?? 0) * (nearest[i] ?? 0);
      if (worth > most) [best, most] = [i, worth];
    }
    const one = candidates[best];
    if (one === undefined) break;
    left.delete(best);
    chosen.push(one);
    for (const i of left) {
      const { embedding } = candidates[i] ?? one;
      // Of another encoder, with which nothing can be compared.
      if (embedding.length !== one.embedding.length) continue;
      const distance = 1 - dot(one.embedding, 0, embedding, 0, embedding.length);
      nearest[i] = Math.max(0, Math.min(nearest[i] ?? 2, distance));
    }
  }
  return chosen;
}
