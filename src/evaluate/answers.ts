import type { Example, LabelScore } from '../domain/decision.js';
import type { NearestRows } from '../neighbours/searcher.js';
import type { Confident } from './metrics/probability.js';
import { vote, type Ballot, type VoteOptions } from '../vote/vote.js';

/** What the neighbours said of one image. */
export interface Answer {
  readonly label: string;
  /** The label's share of the vote. */
  readonly confidence: number;
  /** Every label that got votes, best first. */
  readonly scores: readonly LabelScore[];
  /** Cosine to the last of the k that voted. */
  readonly kthSimilarity: number;
}

/** Images found near others, `[count, k]`, and what the rows stand for. */
export interface Neighbourhoods {
  readonly found: NearestRows;
  readonly examples: readonly Example[];
}

/** Lets the nearest `k` of those found vote on each image, in order. */
export function answersOf({ found, examples }: Neighbourhoods, k: number, options: VoteOptions): Answer[] {
  return Array.from({ length: found.count }, (_, query) => {
    const ballots = ballotsOf({ found, examples }, query, k);
    const scores = vote(ballots, options);
    return {
      label: scores[0]?.label ?? '',
      confidence: scores[0]?.score ?? NaN,
      scores,
      kthSimilarity: ballots.at(-1)?.similarity ?? NaN,
    };
  });
}

/** The share of the vote of each answer, and whether it is the true label. */
export function confidentOf(answers: readonly Answer[], truths: readonly string[]): Confident[] {
  return answers.map(({ label, confidence }, i) => ({ confidence, correct: label === truths[i] }));
}

function ballotsOf({ found, examples }: Neighbourhoods, query: number, k: number): Ballot[] {
  const start = query * found.k;
  return Array.from({ length: k }, (_, i) => ({
    label: examples[found.rows[start + i] ?? -1]?.label ?? '',
    similarity: found.similarities[start + i] ?? NaN,
  }));
}
