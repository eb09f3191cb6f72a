import type { Cancellation } from '../domain/cancellation.js';

/** What came back for one image. */
export interface Inferred {
  /** `[dimension]`, only when asked for. */
  readonly embedding: Float32Array | undefined;
  /** `[k]`, nearest first. */
  readonly rows: Int32Array;
  /** `[k]`, cosine. */
  readonly similarities: Float32Array;
  readonly queueMs: number;
  readonly encodeMs: number;
  readonly searchMs: number;
  readonly batchSize: number;
}

export interface InferOptions {
  /** Neighbours to find; 0 for none. */
  readonly k: number;
  readonly withEmbedding: boolean;
  /** An aborted entry leaves the queue unserved. */
  readonly signal?: Cancellation | undefined;
}

/** Encoder and index behind a queue, off this thread: pixels `[height, width, 3]` to neighbours, batched as they gather. */
export interface Inference {
  readonly searchKind: 'hnsw' | 'exact' | 'none';
  /** Images waiting, not counting those in a worker. */
  readonly queueDepth: number;
  readonly ready: boolean;
  /** @throws NearvoteError `overloaded`, `worker_failed`, `client_gone`, `shutting_down` */
  infer(pixels: Uint8Array, options: InferOptions): Promise<Inferred>;
  close(): Promise<void>;
}
