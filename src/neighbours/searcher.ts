import type { Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';

/** The k nearest rows of an index for each of n queries, nearest first; equal similarities in row order. */
export interface NearestRows {
  readonly count: number;
  readonly k: number;
  /** `[count, k]`, row numbers into examples.jsonl and embeddings.f32. */
  readonly rows: Int32Array;
  /** `[count, k]`, cosine. */
  readonly similarities: Float32Array;
}

/** The port that HNSW and exact search stand behind. */
export interface Searcher {
  readonly kind: 'hnsw' | 'exact';
  readonly size: number;
  readonly dimension: number;
  /** @throws NearvoteError `k_too_large` when k exceeds `size` */
  search(queries: Embeddings, k: number): Promise<NearestRows>;
  /** `[dimension]`, of a row; not to be written to. */
  embeddingOf(row: number): ArrayLike<number>;
  close(): Promise<void>;
}

/** @throws NearvoteError `k_too_large` */
export function checkK(k: number, size: number): void {
  if (k > size) {
    throw new NearvoteError(
      'k_too_large',
      `Expected k to be at most ${size}, the size of the index, but received ${k}`,
    );
  }
}

/** @throws NearvoteError `encoder_mismatch` */
export function checkQueries(queries: Embeddings, dimension: number): void {
  if (queries.dimension !== dimension) {
    throw new NearvoteError(
      'encoder_mismatch',
      `Expected embeddings of dimension ${dimension}, as the index has, but received ${queries.dimension}`,
    );
  }
}
