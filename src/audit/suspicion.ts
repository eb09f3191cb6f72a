import type { LabelScore } from '../domain/decision.js';
import type { Embeddings } from '../domain/embeddings.js';
import { classDirections } from './class-directions.js';
import type { Labelling } from './labelling.js';

export interface SuspicionOptions {
  readonly embeddings: Embeddings;
  readonly labelling: Labelling;
  /** Of each row, what the others voted: labels with shares that sum to 1, best first. */
  readonly votes: readonly (readonly LabelScore[])[];
}

/** How much speaks against one example's label. */
export interface Suspicion {
  readonly row: number;
  /**
   * Log odds of the best other label against the example's own: above 0 the others believe another label. -Infinity
   * where no other example has the label: nobody could vote for it.
   */
  readonly score: number;
  /** The best other label. */
  readonly suggested: string;
  /** Shares of the vote, 0 to 1. */
  readonly ownShare: number;
  readonly suggestedShare: number;
  /** Both kinds of evidence together, as probabilities over the labels. */
  readonly ownProbability: number;
  readonly suggestedProbability: number;
}

/** What a label that nobody votes for keeps: of twenty neighbours none says little more than "below a twentieth". */
const leastShare = 0.01;
/** Cosine to a class as a log-probability, at the vote's own temperature. */
const temperature = 0.07;

/**
 * Ranks every example's label by two kinds of evidence, multiplied as naive Bayes does: the vote of its neighbours, and
 * its cosine to the mean direction of each class. The vote finds classes of any shape but has few steps: among the many
 * that get no vote at all it cannot tell "nearly" from "not at all", which the directions can. They are made in a second
 * pass, of the examples that the vote agreed with. docs/benchmarks.md, "Audit", has each alone and both together.
 */
export function suspicions({ embeddings, labelling, votes }: SuspicionOptions): Suspicion[] {
  const { names, of, counts } = labelling;
  const trusted = votes.map((vote, row) => vote[0]?.label === names[of[row] ?? -1]);
  const directions = classDirections({ embeddings, labelling, trusted });
  const numbers = new Map(names.map((name, number) => [name, number]));
  const shares = new Float64Array(names.length);
  const evidence = new Float64Array(names.length);

  return votes.map((vote, row): Suspicion => {
    const own = of[row] ?? 0;
    shares.fill(0);
    for (const { label, score } of vote) shares[numbers.get(label) ?? 0] = score;
    directions.cosines(row, evidence);
    for (let label = 0; label < names.length; label++) {
      evidence[label] = Math.log((shares[label] ?? 0) + leastShare) + (evidence[label] ?? 0) / temperature;
    }
    const other = bestBut(own, evidence);
    const total = sumOfExp(evidence);
    return {
      row,
      score: (counts[own] ?? 0) > 1 ? (evidence[other] ?? NaN) - (evidence[own] ?? NaN) : -Infinity,
      suggested: names[other] ?? '',
      ownShare: shares[own] ?? 0,
      suggestedShare: shares[other] ?? 0,
      ownProbability: Math.exp((evidence[own] ?? NaN) - total),
      suggestedProbability: Math.exp((evidence[other] ?? NaN) - total),
    };
  });
}

function bestBut(own: number, evidence: Float64Array): number {
  let best = own === 0 ? 1 : 0;
  for (let label = 0; label < evidence.length; label++) {
    if (label !== own && (evidence[label] ?? NaN) > (evidence[best] ?? NaN)) best = label;
  }
  return best;
}

/** log(sum(exp(x))), without overflow. */
function sumOfExp(values: Float64Array): number {
  const highest = values.reduce((max, value) => Math.max(max, value), -Infinity);
  return highest + Math.log(values.reduce((sum, value) => sum + Math.exp(value - highest), 0));
}
