import type { ErrorCode } from '../domain/errors.js';
import type { Change, Picture } from '../examples/journal-record.js';

/* What may be asked of an index that changes, and what comes of it. */

/** An example to be added. */
export interface NewExample {
  /** Made from the image's content and the label unless told. */
  readonly id?: string | undefined;
  /** Of the image's content, in hex. */
  readonly digest: string;
  readonly label: string;
  readonly source: string;
  /** `[dimension]`, of unit length. */
  readonly embedding: Float32Array;
  readonly picture?: Picture | undefined;
}

/** An example that is to be there under an id of its own, whatever else is the same image. */
export interface ExactExample extends Omit<NewExample, 'id' | 'digest'> {
  readonly id: string;
  /** Null of one that is to count as built: its id, as a build gives it, is made of its content. */
  readonly digest: string | null;
}

/** What is done to one example: it is added as it is said, or it is there and changes. */
export type ExampleAct = {
  /** Why it is done, where that is not the reason of the whole request. */
  readonly reason?: string | undefined;
} & (
  | { readonly kind: 'add'; readonly example: ExactExample }
  | { readonly kind: 'relabel'; readonly id: string; readonly label: string }
  | { readonly kind: 'delete'; readonly id: string }
);

/** What is done to an example that is there. */
export type ExampleEdit = Exclude<ExampleAct, { readonly kind: 'add' }>;

/** Made as one: all of it or nothing, but examples to be added that do not fit are left out and told. */
export type ChangeRequest = {
  readonly reason: string | null;
  readonly who: string | null;
} & (
  | {
      readonly kind: 'add';
      readonly examples: readonly NewExample[];
      /**
       * The operation that this goes on with, so that many images are taken back as one: where something else was changed
       * since, or for another reason, it is an operation of its own.
       */
      readonly continues?: number | undefined;
    }
  | { readonly kind: 'edit'; readonly acts: readonly ExampleAct[] }
  /** Gives every example of a label another one; where that is there already, the two are merged. */
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  /** Takes back all that was made as one with a change. */
  | { readonly kind: 'revert'; readonly sequence: number }
  /** Takes back everything after a change, as one: 0 is before the first. What a build has published stays. */
  | { readonly kind: 'rollback'; readonly sequence: number }
);

/** What a request would add, in its order. */
export function newExamplesOf(request: ChangeRequest): readonly (NewExample | ExactExample)[] {
  if (request.kind === 'add') return request.examples;
  if (request.kind !== 'edit') return [];
  return request.acts.flatMap((act) => (act.kind === 'add' ? [act.example] : []));
}

/** The operation that a request goes on with: that of the newest change, where it adds for the same reason and the same person. */
export function continuedBy(request: ChangeRequest, newest: Change | undefined): number | undefined {
  const goesOn =
    request.kind === 'add' &&
    request.continues !== undefined &&
    newest?.kind === 'add' &&
    newest.operation === request.continues &&
    newest.reason === request.reason &&
    newest.who === request.who;
  return goesOn ? newest.operation : undefined;
}

/** What became of one example. */
export type ChangeOutcome =
  | {
      readonly outcome: 'added' | 'relabelled' | 'deleted' | 'restored' | 'unchanged';
      readonly id: string;
      /** As it is now; of a deleted one, as it was. */
      readonly label: string;
      /** Set where no example had the label before: it may be a slip of the pen. */
      readonly newLabel?: true | undefined;
      /** For which of these, where there are any. */
      readonly similarLabels?: readonly string[] | undefined;
    }
  | { readonly outcome: 'refused'; readonly code: ErrorCode; readonly message: string };

export interface Changed {
  /** Of the last change that the index has made. */
  readonly sequence: number;
  /** What was made as one is called by its first sequence number; null where nothing changed. */
  readonly operation: number | null;
  /** In the order of what was asked. */
  readonly outcomes: readonly ChangeOutcome[];
}
