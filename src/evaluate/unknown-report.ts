import type { Example } from '../domain/decision.js';
import type { Embeddings } from '../domain/embeddings.js';
import type { Searcher } from '../neighbours/searcher.js';
import type { VoteOptions } from '../vote/vote.js';
import { answersOf, type Answer } from './answers.js';
import { measureUnknown, type UnknownRuleFigures } from './measure-unknown.js';

export interface UnknownReport {
  /** Images of no label of the index. */
  readonly images: number;
  /** The k of the similarity to the k-th neighbour, and of the vote. */
  readonly k: number;
  readonly rules: readonly UnknownRuleFigures[];
  /** What is served for each, in order. */
  readonly answers: readonly Answer[];
}

export interface UnknownReportOptions {
  /** What was served for each of the known images. */
  readonly known: readonly Answer[];
  /** Images of no label of the index. */
  readonly unknown: Embeddings;
  readonly examples: readonly Example[];
  /** The search that is served. */
  readonly served: Searcher;
  /** As the known images were voted on; at most the size of the index. */
  readonly k: number;
  readonly vote: VoteOptions;
  readonly seed: number;
}

/** How well unknown images can be told from known ones by what is served. */
export async function unknownReport(options: UnknownReportOptions): Promise<UnknownReport> {
  const { known, unknown, examples, served, k, vote, seed } = options;
  const found = await served.search(unknown, k);
  const answers = answersOf({ found, examples }, k, vote);
  return { images: unknown.count, k, rules: measureUnknown({ known, unknown: answers, seed }), answers };
}
