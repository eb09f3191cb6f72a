import type { LabelScore } from '../domain/decision.js';
import type { VoteRule } from './rules.js';

/** What a vote needs to know of a neighbour. */
export interface Ballot {
  readonly label: string;
  /** Cosine to the query. */
  readonly similarity: number;
}

export interface VoteOptions {
  readonly rule: VoteRule;
  /** T of the softmax rule, > 0. */
  readonly temperature: number;
}

interface Tally {
  readonly label: string;
  weight: number;
  similaritySum: number;
  nearest: number;
}

/**
 * Lets neighbours vote: the labels that got votes, best first, with scores that sum to 1.
 * Equal scores are ordered by summed similarity, then by the nearest neighbour, then by label (code units).
 * No neighbours, no labels.
 */
export function vote(ballots: readonly Ballot[], options: VoteOptions): LabelScore[] {
  const weigh = weighing(ballots, options);
  const tallies = new Map<string, Tally>();
  let total = 0;
  for (const { label, similarity } of ballots) {
    const weight = weigh(similarity);
    total += weight;
    const tally = tallies.get(label);
    if (tally === undefined) {
      tallies.set(label, { label, weight, similaritySum: similarity, nearest: similarity });
    } else {
      tally.weight += weight;
      tally.similaritySum += similarity;
      tally.nearest = Math.max(tally.nearest, similarity);
    }
  }
  return [...tallies.values()]
    .sort(byScoreThenTies)
    .map(({ label, weight }) => ({ label, score: weight / total }));
}

function weighing(ballots: readonly Ballot[], { rule, temperature }: VoteOptions): (s: number) => number {
  switch (rule) {
    case 'majority':
      return () => 1;
    case 'softmax': {
      // exp((s - max) / T): the same shares as exp(s / T), without overflow at a small T.
      const highest = ballots.reduce((max, { similarity }) => Math.max(max, similarity), -Infinity);
      return (s) => Math.exp((s - highest) / temperature);
    }
    case 'similarity': {
      // Where nothing points the same way as the query, nothing weighs more than the rest.
      const anyPositive = ballots.some(({ similarity }) => similarity > 0);
      return anyPositive ? (s) => Math.max(s, 0) : () => 1;
    }
  }
}

function byScoreThenTies(a: Tally, b: Tally): number {
  return (
    b.weight - a.weight ||
    b.similaritySum - a.similaritySum ||
    b.nearest - a.nearest ||
    (a.label < b.label ? -1 : a.label > b.label ? 1 : 0)
  );
}
