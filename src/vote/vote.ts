import type { LabelScore } from '../domain/decision.js';
import { tieTolerance } from '../domain/embeddings.js';
import { type WeightOptions, weightSlack, weightsOf } from './rules.js';

/** What a vote needs to know of a neighbour. */
export interface Ballot {
  readonly label: string;
  /** Cosine to the query. */
  readonly similarity: number;
}

/** Rows of labelled examples that were found near each of some queries, nearest first. */
export interface FoundRows {
  readonly found: {
    readonly k: number;
    /** `[queries, k]` */
    readonly rows: Int32Array;
    /** `[queries, k]`, cosine. */
    readonly similarities: Float32Array;
  };
  readonly examples: readonly { readonly label: string }[];
}

/** The ballots of a query's nearest `k`, or of as many as were found; nearest first. */
export function ballotsOf({ found, examples }: FoundRows, query: number, k: number): Ballot[] {
  const start = query * found.k;
  return Array.from({ length: Math.min(k, found.k) }, (_, i) => ({
    label: examples[found.rows[start + i] ?? -1]?.label ?? '',
    similarity: found.similarities[start + i] ?? NaN,
  }));
}

/** The share of an index that each label has, 0 to 1. */
export type LabelShares = ReadonlyMap<string, number>;

/** Label shares from the label of every example; empty for none. */
export function labelSharesOf(labels: Iterable<string>): LabelShares {
  const counts = new Map<string, number>();
  let total = 0;
  for (const label of labels) {
    counts.set(label, (counts.get(label) ?? 0) + 1);
    total++;
  }
  return new Map([...counts].map(([label, count]) => [label, count / total]));
}

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
  /** How much more the weight might be by similarities that are equal to these. */
  slack: number;
  similaritySum: number;
  nearest: number;
}

/**
 * Lets neighbours vote: the labels that got votes, best first, with scores that sum to 1.
 * Equal scores are ordered by summed similarity, then by the nearest neighbour, then by label (code units). Similarities
 * are equal within `tieTolerance`, and scores where similarities that are equal could have made them so; labels whose
 * scores are equal get the mean of them.
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
    const share = options.priors?.get(label) ?? 1;
    const bare = weights[i] ?? NaN;
    const weight = bare / share;
    const slack = weightSlack({ similarity, weight: bare }, options) / share;
    total += weight;
    const tally = tallies.get(label);
    if (tally === undefined) {
      tallies.set(label, { label, weight, slack, similaritySum: similarity, nearest: similarity });
    } else {
      tally.weight += weight;
      tally.slack += slack;
      tally.similaritySum += similarity;
      tally.nearest = Math.max(tally.nearest, similarity);
    }
  }
  const byLabel = [...tallies.values()].sort((a, b) => (a.label < b.label ? -1 : 1));
  return tiesOf(byLabel, {
    of: ({ weight }) => weight,
    equal: (most, { weight, slack }) => most <= weight + slack,
  }).flatMap((tied) => {
    const score = tied.reduce((sum, { weight }) => sum + weight, 0) / (total * tied.length);
    return nearTies(tied, ({ similaritySum }) => similaritySum / ballots.length)
      .flatMap((near) => nearTies(near, ({ nearest }) => nearest))
      .flat()
      .map(({ label }) => ({ label, score }));
  });
}

function nearTies(tallies: readonly Tally[], of: TieOptions['of']): Tally[][] {
  return tiesOf(tallies, { of, equal: (most, tally) => most - of(tally) <= tieTolerance });
}

interface TieOptions {
  readonly of: (tally: Tally) => number;
  /** Whether a label is as good as the greatest value of its group. */
  readonly equal: (most: number, tally: Tally) => boolean;
}

/** Groups of equals, the greatest first; those of a group in the order they came in. */
function tiesOf(tallies: readonly Tally[], { of, equal }: TieOptions): Tally[][] {
  const groups: Tally[][] = [];
  let rest = [...tallies];
  while (rest.length > 1) {
    const most = rest.reduce((greatest, tally) => Math.max(greatest, of(tally)), -Infinity);
    const group = rest.filter((tally) => of(tally) === most || equal(most, tally));
    // What is no number is as good as anything.
    if (group.length === 0) break;
    groups.push(group);
    rest = rest.filter((tally) => !group.includes(tally));
  }
  return rest.length === 0 ? groups : [...groups, rest];
}
