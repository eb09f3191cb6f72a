import type { Decision } from './domain/decision.js';
import type { VoteRule } from './vote/rules.js';

export interface ClassifyOptions {
  /** Explicit k: larger than the index is an error. Absent: the default, clamped to the index. */
  readonly k?: number | undefined;
  readonly vote?: VoteRule | undefined;
  /** How many neighbours to show, 5 unless told. */
  readonly neighbours?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where the time of one image went. */
export interface StageTimings {
  readonly decodeMs: number;
  readonly queueMs: number;
  readonly encodeMs: number;
  readonly searchMs: number;
  readonly voteMs: number;
}

export interface Classification {
  readonly decision: Decision;
  /** Similarity of the nearest neighbour. */
  readonly topSimilarity: number;
  readonly timings: StageTimings;
}

export interface Classifier {
  readonly index: { readonly name: string; readonly version: string; readonly examples: number };
  readonly encoder: { readonly name: string; readonly version: string; readonly dimension: number };
  readonly labels: readonly string[];
  /** @throws NearvoteError `image_*`, `k_too_large`, or what inference throws */
  classify(bytes: Uint8Array, options?: ClassifyOptions): Promise<Classification>;
  /** The unit embedding, `[dimension]`. */
  embed(
    bytes: Uint8Array,
    options?: { readonly signal?: AbortSignal | undefined },
  ): Promise<{ readonly embedding: Float32Array; readonly timings: StageTimings }>;
}
