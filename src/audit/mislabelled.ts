import type { LabelScore } from '../domain/decision.js';
import { dot, type Embeddings } from '../domain/embeddings.js';
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

/** The mean direction of each label's examples. */
export interface ClassDirections {
  /** Writes the cosine of a row to each label's direction, the row itself left out of its own, `[labels]`. */
  cosines(row: number, into: Float64Array): void;
}

export interface ClassDirectionsOptions {
  readonly embeddings: Embeddings;
  readonly labelling: Labelling;
  /** Whether a row's label is believed. A label with fewer than two such rows is made of all its rows. */
  readonly trusted: readonly boolean[];
}

/** Sums up each label's trusted rows, so that a wrong label pulls no direction towards itself. */
export function classDirections(options: ClassDirectionsOptions): ClassDirections {
  const { embeddings, labelling } = options;
  const { dimension, values, count } = embeddings;
  const members = membersOf(options);
  const sums = new Float32Array(labelling.names.length * dimension);
  for (let row = 0; row < count; row++) {
    if (members[row] !== true) continue;
    const start = (labelling.of[row] ?? 0) * dimension;
    for (let i = 0; i < dimension; i++) {
      sums[start + i] = (sums[start + i] ?? 0) + (values[row * dimension + i] ?? 0);
    }
  }
  const squares = labelling.names.map((_, label) =>
    dot(sums, label * dimension, sums, label * dimension, dimension),
  );

  return {
    cosines: (row, into) => {
      const own = labelling.of[row];
      for (let label = 0; label < labelling.names.length; label++) {
        let along = dot(values, row * dimension, sums, label * dimension, dimension);
        let square = squares[label] ?? 0;
        if (label === own && members[row] === true) {
          // x . (S - x) and |S - x|^2 for the unit row x and the sum S that holds it.
          square = square - 2 * along + 1;
          along -= 1;
        }
        into[label] = square > 1e-9 ? along / Math.sqrt(square) : 0;
      }
    },
  };
}

function membersOf({ labelling, trusted }: ClassDirectionsOptions): readonly boolean[] {
  const believed = new Int32Array(labelling.names.length);
  for (const [row, label] of labelling.of.entries()) {
    if (trusted[row] === true) believed[label] = (believed[label] ?? 0) + 1;
  }
  return Array.from(labelling.of, (label, row) => trusted[row] === true || (believed[label] ?? 0) < 2);
}

/** Well separated classes are as good as certain of their own: nobody needs to be surer than this of another's. */
const sureEnough = 0.9;

/**
 * The examples that are likely mislabelled, most suspicious first, by the rule of confident learning (Northcutt, Jiang
 * and Chuang 2021, arXiv:1911.00068): another label is more probable than the example's own, and at least as probable
 * as it is, in the mean, for the examples that carry that other label. So a class of which the encoder is never sure
 * asks for less, and one of which it is always sure for more.
 */
export function mislabelled(suspicions: readonly Suspicion[], labelling: Labelling): Suspicion[] {
  const thresholds = meanSelfConfidence(suspicions, labelling);
  return suspicions
    .filter(
      ({ score, suggested, suggestedProbability }) =>
        score > 0 && suggestedProbability >= Math.min(sureEnough, thresholds.get(suggested) ?? NaN),
    )
    .sort((a, b) => b.score - a.score || a.row - b.row);
}

/** Of each label, the mean probability that its own examples give it. */
function meanSelfConfidence(
  suspicions: readonly Suspicion[],
  { names, of, counts }: Labelling,
): ReadonlyMap<string, number> {
  const sums = new Float64Array(names.length);
  for (const { row, ownProbability } of suspicions) {
    const own = of[row] ?? 0;
    sums[own] = (sums[own] ?? 0) + ownProbability;
  }
  return new Map(names.map((name, label) => [name, (sums[label] ?? 0) / (counts[label] ?? 0)]));
}
