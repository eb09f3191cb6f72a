import type { Cancellation } from '../domain/cancellation.js';
import type { Example } from '../domain/decision.js';
import type { LoggedChange, Picture } from '../examples/journal-record.js';
import { NearvoteError } from '../domain/errors.js';
import type { Changed, ChangeRequest } from './changes.js';

/** What an index holds after one of its changes. */
export interface IndexState {
  /** Of its last change; 0 where there was none. */
  readonly sequence: number;
  readonly examples: number;
  /** Examples by label: the labels of the version in its order, then new ones as they came. */
  readonly labels: readonly { readonly label: string; readonly examples: number }[];
  /** How many of them changes have added, left out or relabelled since the version was built. */
  readonly changed: number;
}

/** What was found for one image, nearest first; equal similarities in the order of the index. */
export interface Nearest {
  /** `[k]` */
  readonly labels: readonly string[];
  /** `[k]`, cosine. */
  readonly similarities: Float32Array;
  /** The nearest `shown` of them. */
  readonly examples: readonly Example[];
  /** What was searched. */
  readonly state: IndexState;
  /** Of all that was asked at once. */
  readonly searchMs: number;
}

export interface NearestOptions {
  /** More than there are examples is an error, unless it is clamped to them. */
  readonly k: number;
  readonly clamped?: boolean | undefined;
  /** How many to name, at most k. */
  readonly shown: number;
  /** Only a state that has made this change is searched. */
  readonly atLeast?: number | undefined;
  /** What is cancelled before it was sent is not asked. */
  readonly signal?: Cancellation | undefined;
}

export interface ListOptions {
  readonly label?: string | undefined;
  /** Found in the id, the label or the source, whatever the case of its letters. */
  readonly text?: string | undefined;
  /** The id after which the list goes on. */
  readonly after?: string | undefined;
  readonly limit: number;
  /** Only a state that has made this change is listed. */
  readonly atLeast?: number | undefined;
}

export interface ListedExamples {
  /** In the order of the index. */
  readonly examples: readonly Example[];
  /** Whether there are more after them. */
  readonly more: boolean;
  readonly sequence: number;
}

/** An example and the changes that made it what it is, newest first. */
export interface ExampleHistory {
  readonly example: Example;
  readonly changes: readonly LoggedChange[];
  readonly sequence: number;
}

export interface LogOptions {
  /** Changes before this sequence number; all unless told. */
  readonly before?: number | undefined;
  /** Changes of this example alone. */
  readonly id?: string | undefined;
  readonly limit: number;
}

/** A copy of an index that is read in its place, and may be some changes behind. */
export interface ReplicaState {
  /** False where it does not answer, or is another's: then all is read from the index itself. */
  readonly ready: boolean;
  /** Changes that it has not made yet. */
  readonly behind: number;
  /** Since it was last as far as the index; 0 where it is. */
  readonly lagSeconds: number;
  /** Reads that went to the index itself, because it was behind or did not answer. */
  readonly passed: number;
}

/**
 * The neighbours port: labelled examples that can be asked and changed, wherever they live. What is found for one image
 * does not depend on what is asked beside it. A change is durable, and the next search uses it, before it is answered.
 */
export interface Neighbours {
  readonly version: { readonly name: string; readonly version: string };
  /** As it was last heard of; every answer tells what it was found in. */
  readonly state: IndexState;
  readonly searchKind: 'hnsw' | 'exact';
  /** Whether it could answer now. */
  readonly ready: boolean;
  /** Where it has one. */
  readonly replica?: ReplicaState | undefined;
  /**
   * @param embedding `[dimension]`, of unit length
   * @throws NearvoteError `k_too_large` when k exceeds the examples, `index_empty`, `index_behind`, `worker_failed`,
   * `not_ready`, `shutting_down`
   */
  search(embedding: Float32Array, options: NearestOptions): Promise<Nearest>;
  /**
   * @throws NearvoteError `index_readonly`, `example_missing`, `example_conflict`, `label_missing`, `label_invalid`,
   * `change_missing`, `change_conflict`, `output_unwritable`, and as `search`
   */
  change(request: ChangeRequest): Promise<Changed>;
  /** @throws NearvoteError `example_missing`, and as `search` */
  example(id: string): Promise<ExampleHistory>;
  /** Of each id, the label of its example; null where there is none. @throws NearvoteError as `search` */
  labelsOf(ids: readonly string[]): Promise<readonly (string | null)[]>;
  /** Of an example that was added; those of a build have none. @throws NearvoteError `example_missing`, and as `search` */
  picture(id: string): Promise<Picture>;
  /** @throws NearvoteError `example_missing` when `after` names none, `index_behind`, and as `search` */
  list(options: ListOptions): Promise<ListedExamples>;
  /** Newest first. */
  log(options: LogOptions): Promise<readonly LoggedChange[]>;
  /** Takes over the changes that another process has made. */
  follow(): Promise<IndexState>;
  /** Resolves when what was asked is answered and nothing is held any more. */
  close(): Promise<void>;
}

/** @throws NearvoteError `index_behind` where a state has not made a change that is asked for */
export function checkReached(sequence: number, atLeast: number | undefined): void {
  if (atLeast === undefined || sequence >= atLeast) return;
  throw new NearvoteError(
    'index_behind',
    `Expected an index that has made change ${atLeast} but the last that it has made here is ${sequence}`,
  );
}
