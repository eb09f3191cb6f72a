import type { Ballot } from '../domain/ballots.js';
import type { LabelScore } from '../domain/decision.js';
import type { LabelShares } from './prior.js';
import { weightsOf, type WeightOptions } from './weights.js';

export interface VoteOptions extends WeightOptions {
  /**
   * Given, each label's weight is divided by its share of the index: score(c) = (w(c) / share(c)) / sum over labels.
   * It is Bayes' rule for equally frequent labels where the index has them unequally, the adjustment to new priors of
   * Saerens, Latinne & Decaestecker 2002 (Neural Computation 14, 21-41).
   */
  readonly priors?: LabelShares | undefined;
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
 * @throws NearvoteError `usage` when the softmax rule has a temperature that is not a number above 0
 */
export function vote(ballots: readonly Ballot[], options: VoteOptions): LabelScore[] {
  const weights = weightsOf(
    ballots.map(({ similarity }) => similarity),
    options,
  );
  const tallies = new Map<string, Tally>();
  let total = 0;
  for (const [i, { label, similarity }] of ballots.entries()) {
    // A label that is not in the shares was in no index: nothing is known against it.
    const weight = (weights[i] ?? NaN) / (options.priors?.get(label) ?? 1);
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

function byScoreThenTies(a: Tally, b: Tally): number {
  return (
    b.weight - a.weight ||
    b.similaritySum - a.similaritySum ||
    b.nearest - a.nearest ||
    (a.label < b.label ? -1 : a.label > b.label ? 1 : 0)
  );
}
