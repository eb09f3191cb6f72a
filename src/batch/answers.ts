import type { Decision } from '../domain/decision.js';
import type { ErrorCode } from '../domain/errors.js';
import type { ImageFile } from '../image/dataset/walk-images.js';

type Neighbour = Decision['neighbours'][number];

/** A decision; of a server, only what it shows of its neighbours. */
export type AnsweredDecision = Omit<Decision, 'neighbours' | 'pValue'> & {
  readonly pValue?: number | undefined;
  readonly neighbours: readonly (Omit<Neighbour, 'source'> & { readonly source?: string | undefined })[];
};

/** A decision, or why there is none. */
export type Answer =
  | { readonly file: string; readonly decision: AnsweredDecision }
  | { readonly file: string; readonly error: { readonly code: ErrorCode; readonly message: string } };

/** All that decides what is answered, by name: files whose answers belong together agree in it. */
export type Circumstances = Readonly<Record<string, string | number | boolean>>;

/** What classifies files: this process or a server. */
export interface Answering {
  readonly circumstances: Circumstances;
  /**
   * The answers in the order of the files, many of them at work at once and none held for longer than that order asks.
   * A file that cannot be classified is an answer; it ends early, without an error, where `signal` is aborted.
   * @throws NearvoteError where no file can be classified any more
   */
  answer(files: AsyncIterable<ImageFile>, signal?: AbortSignal): AsyncIterable<Answer>;
  close(): Promise<void>;
}

type Settled<Result> = { readonly result: Result } | { readonly failure: unknown };

/** Starts `work` on each item, `atOnce` of them at a time, and gives the results in the order of the items. */
export async function* inOrder<Item, Result>(
  items: AsyncIterable<Item>,
  atOnce: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const waiting: Promise<Settled<Result>>[] = [];
  // Never rejects: while an earlier one is awaited, nobody listens to it.
  const settle = (item: Item): Promise<Settled<Result>> =>
    work(item).then(
      (result) => ({ result }),
      (failure: unknown) => ({ failure }),
    );
  for await (const item of items) {
    waiting.push(settle(item));
    if (waiting.length >= atOnce) yield resultOf(await waiting.shift());
  }
  while (waiting.length > 0) yield resultOf(await waiting.shift());
}

function resultOf<Result>(settled: Settled<Result> | undefined): Result {
  if (settled !== undefined && 'result' in settled) return settled.result;
  throw settled?.failure;
}
