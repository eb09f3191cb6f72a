import type { ErrorCode } from '../domain/errors.js';

/* What a pool and its worker say to each other; both sides use structured clone, so typed arrays go over whole. */

/** Everything a worker needs, sent once, before anything else. */
export interface WorkerSetup {
  readonly encoderDir: string;
  /** A published version's folder; without one the worker only embeds. */
  readonly indexDir: string | undefined;
  readonly threads: number;
  /** `exact` ignores vectors.hnsw; `auto` uses it where hnswlib-node could be built. */
  readonly search: 'auto' | 'exact';
  /** The largest batch it will be sent, run once before it is ready. */
  readonly warmupBatch: number;
}

interface SetupRequest {
  readonly type: 'setup';
  readonly setup: WorkerSetup;
}

/** One batch: `pixels [count, height, width, 3]`; k = 0 asks for embeddings only. */
export interface BatchRequest {
  readonly type: 'batch';
  readonly batch: number;
  readonly count: number;
  readonly k: number;
  readonly withEmbeddings: boolean;
  readonly pixels: Uint8Array;
}

export type WorkerRequest = SetupRequest | BatchRequest;

interface ReadyReply {
  readonly type: 'ready';
  readonly searchKind: 'hnsw' | 'exact' | 'none';
}

export interface BatchReply {
  readonly type: 'batch';
  readonly batch: number;
  /** `[count, dimension]`, empty unless asked for. */
  readonly embeddings: Float32Array;
  /** `[count, k]` */
  readonly rows: Int32Array;
  /** `[count, k]` */
  readonly similarities: Float32Array;
  readonly encodeMs: number;
  readonly searchMs: number;
}

/** `batch` is undefined when the setup failed. */
export interface FailureReply {
  readonly type: 'failure';
  readonly batch: number | undefined;
  readonly code: ErrorCode;
  readonly message: string;
}

export type WorkerReply = ReadyReply | BatchReply | FailureReply;
