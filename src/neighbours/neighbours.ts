import type { Cancellation } from '../domain/cancellation.js';
import type { Example } from '../domain/decision.js';

/** What was found for one image, nearest first; equal similarities in the order of the index. */
export interface Nearest {
  /** `[k]` */
  readonly labels: readonly string[];
  /** `[k]`, cosine. */
  readonly similarities: Float32Array;
  /** The nearest `shown` of them. */
  readonly examples: readonly Example[];
  /** Of all that was asked at once. */
  readonly searchMs: number;
}

export interface NearestOptions {
  readonly k: number;
  /** How many to name, at most k. */
  readonly shown: number;
  /** What is cancelled before it was sent is not asked. */
  readonly signal?: Cancellation | undefined;
}

/** The published version that is searched. */
interface SearchedVersion {
  readonly name: string;
  readonly version: string;
  readonly examples: number;
  /** By label, in the manifest's order. */
  readonly labels: readonly { readonly label: string; readonly examples: number }[];
}

/**
 * The neighbours port: labelled examples that can be asked, wherever they live. What is found for one image does not
 * depend on what is asked beside it.
 */
export interface Neighbours {
  readonly version: SearchedVersion;
  readonly searchKind: 'hnsw' | 'exact';
  /** Whether it could answer now. */
  readonly ready: boolean;
  /**
   * @param embedding `[dimension]`, of unit length
   * @throws NearvoteError `k_too_large` when k exceeds the examples, `worker_failed`, `not_ready`, `shutting_down`
   */
  search(embedding: Float32Array, options: NearestOptions): Promise<Nearest>;
  /** Resolves when what was asked is answered and nothing is held any more. */
  close(): Promise<void>;
}
