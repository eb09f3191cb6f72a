import type { Embeddings } from '../domain/embeddings.js';

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
  close(): Promise<void>;
}
