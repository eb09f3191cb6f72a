/* What an index owner (index-owner.ts) and its process (index-process.ts) say to each other. */
import type { Example } from '../domain/decision.js';
import type { ErrorCode } from '../domain/errors.js';
import type { IndexManifest } from '../examples/index-store.js';
import type { IndexState, ListOptions, LogOptions } from './neighbours.js';

/** Everything the process needs, sent once. */
export interface OwnerSetup {
  readonly dir: string;
  /** As it was read when the owner was opened: files with other hashes are refused, at every start. */
  readonly manifest: IndexManifest;
  /** `exact` ignores vectors.hnsw; `auto` uses it where hnswlib-node could be built. */
  readonly search: 'auto' | 'exact';
  readonly threads: number;
  readonly access: 'read' | 'write';
}

export interface OwnerReady extends News {
  readonly searchKind: 'hnsw' | 'exact';
  readonly state: IndexState;
}

/** What an answer tells beside itself. */
export interface News {
  /** Where it is another than in the answer before. */
  readonly state?: IndexState | undefined;
  /** Labels are sent as places in a list that only grows, from the start of each process: what was added to it. */
  readonly newLabels: readonly string[];
}

/**
 * `k`, whether it may be clamped, and `shown` of each query; the embeddings `[n, dimension]` lie beside it.
 */
export interface SearchJob {
  readonly ask: 'search';
  readonly ks: readonly number[];
  readonly clamped: readonly boolean[];
  readonly shown: readonly number[];
}

/** The request without the embeddings and pictures of the examples that it would add: they lie beside it. */
export interface ChangeJob {
  readonly ask: 'change';
  readonly request: unknown;
  /** Of each of those examples, null where it has no picture. */
  readonly mediaTypes: readonly (string | null)[];
}

export type OwnerJob =
  | SearchJob
  | ChangeJob
  | { readonly ask: 'example' | 'picture'; readonly id: string }
  | { readonly ask: 'labelsOf'; readonly ids: readonly string[] }
  | { readonly ask: 'list'; readonly options: ListOptions }
  | { readonly ask: 'log'; readonly options: LogOptions }
  | { readonly ask: 'follow' }
  /** The last of all: its files are whole for whoever copies them. */
  | { readonly ask: 'close' };

/**
 * Beside it lie places of labels as uint32 and similarities as float32, both `[sum of found]`, query after query.
 */
export interface SearchReply extends News {
  /** How many were found for each query. */
  readonly found: readonly number[];
  /** `[id, label's place, source]` of the nearest `shown` of each query. */
  readonly examples: readonly (readonly [Example['id'], number, Example['source']])[][];
  readonly searchMs: number;
}

/** The answer to anything else: a picture's bytes lie beside it. */
export interface AskReply extends News {
  readonly answer?: unknown;
  readonly error?: { readonly code: ErrorCode; readonly message: string } | undefined;
}
