import type { LabelScore } from '../domain/decision.js';
import type { Embeddings } from '../domain/embeddings.js';
import { linearScores, type LinearScores } from './linear-scores.js';
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
   * where no other example has the label: nothing could speak for it.
   */
  readonly score: number;
  /** The best other label. */
  readonly suggested: string;
  /** Shares of the vote, 0 to 1. */
  readonly ownShare: number;
  readonly suggestedShare: number;
  /**
   * That the label is wrong, 0 to 1, by how much it is doubted and by how many labels seem to be wrong. 0 for all where
   * the model says no more of the labels than how frequent each is: of few rows it knows too little to doubt any.
   */
  readonly wrong: number;
}

/**
 * Ranks every example's label by its score of a linear model that has not seen it, and says how likely it is wrong. Such
 * a model finds labels of several shapes, and a wrong label sways it little, where it sways the vote of its few
 * neighbours much. docs/decisions/013 has what else was tried.
 */
export function suspicions({ embeddings, labelling, votes }: SuspicionOptions): Suspicion[] {
  const { names, of, counts } = labelling;
  const model = linearScores({ embeddings, labelling });
  const { scale, noise, gain } = fitNoise(model, labelling);
  // Two figures were fitted: by chance they gain about this much (Schwarz 1978, Annals of Statistics 6, 461-464).
  const isInformed = gain > Math.log(of.length);
  /** No surer than so many rows can make it. */
  const surest = 1 - 1 / (of.length + 1);
  const scores = new Float64Array(names.length);
  return votes.map((vote, row): Suspicion => {
    const own = of[row] ?? 0;
    model.score(row, scores);
    const other = bestBut(own, scores);
    const isAlone = (counts[own] ?? 0) < 2;
    const probability = softmaxOf(own, scores, scale);
    const wrong = wrongProbability({ probability, noise, labels: names.length });
    const shareOf = (label: string): number => vote.find((one) => one.label === label)?.score ?? 0;
    return {
      row,
      score: isAlone ? -Infinity : scale * ((scores[other] ?? NaN) - (scores[own] ?? NaN)),
      suggested: names[other] ?? '',
      ownShare: shareOf(names[own] ?? ''),
      suggestedShare: shareOf(names[other] ?? ''),
      wrong: isAlone || !isInformed ? 0 : Math.min(wrong, surest),
    };
  });
}

function bestBut(own: number, scores: Float64Array): number {
  let best = own === 0 ? 1 : 0;
  for (let label = 0; label < scores.length; label++) {
    if (label !== own && (scores[label] ?? NaN) > (scores[best] ?? NaN)) best = label;
  }
  return best;
}

/** The probability of one label, scores taken times `scale`. */
function softmaxOf(label: number, scores: Float64Array, scale: number): number {
  let sum = 0;
  for (const score of scores) sum += Math.exp(scale * (score - (scores[label] ?? NaN)));
  return 1 / sum;
}

/** That a label was given at random and not because it is so probable. */
function posterior(probability: number, noise: number, labels: number): number {
  const random = noise / labels;
  return random / (random + (1 - noise) * probability);
}

interface GivenLabel {
  /** Of the label, by the model. */
  readonly probability: number;
  /** The share of labels that were given at random. */
  readonly noise: number;
  /** How many there are. */
  readonly labels: number;
}

/** That a label is wrong: it was given at random, and did not fall on the right one. */
export function wrongProbability({ probability, noise, labels }: GivenLabel): number {
  return posterior(probability, noise, labels) * (1 - probability);
}

export interface Noise {
  /** What scores are taken times, so that their softmax is as sure as it is right. */
  readonly scale: number;
  /** The share of labels that were given at random. */
  readonly noise: number;
  /** How much likelier the labels are so than drawn by their frequencies, in natural logarithms. */
  readonly gain: number;
}

const steps = 60;
const mostScores = 4_000_000;
const steepest = 40;

/**
 * The likeliest scale and noise, where a label is given by the softmax of its scores or else at random, by expectation and
 * maximisation: each label counts by how likely it is not random, with a step of Newton's for the scale.
 */
export function fitNoise(model: LinearScores, { names, of, counts }: Labelling): Noise {
  const labels = names.length;
  const count = Math.min(of.length, Math.ceil(mostScores / labels));
  const rows = Int32Array.from({ length: count }, (_, i) => Math.floor((i * of.length) / count));
  const scores = new Float64Array(count * labels);
  for (const [i, row] of rows.entries()) model.score(row, scores.subarray(i * labels, (i + 1) * labels));

  let [scale, noise] = [5, 0.05];
  for (let step = 0; step < steps; step++) {
    let [slope, curvature, random] = [0, 0, 0];
    for (let i = 0; i < count; i++) {
      const own = i * labels + (of[rows[i] ?? 0] ?? 0);
      const ownScore = scores[own] as number;
      let [sum, mean, square] = [0, 0, 0];
      for (let at = i * labels; at < (i + 1) * labels; at++) {
        const score = scores[at] as number;
        const weight = Math.exp(scale * (score - ownScore));
        sum += weight;
        mean += weight * score;
        square += weight * score * score;
      }
      mean /= sum;
      const believed = 1 - posterior(1 / sum, noise, labels);
      slope += believed * (ownScore - mean);
      curvature += believed * (square / sum - mean * mean);
      random += 1 - believed;
    }
    const next = scale + slope / Math.max(curvature, 1e-9);
    scale = Math.min(Math.max(next, scale / 2), 2 * scale, steepest);
    noise = random / count;
  }
  let gain = 0;
  for (const [i, row] of rows.entries()) {
    const own = of[row] ?? 0;
    const probability = softmaxOf(own, scores.subarray(i * labels, (i + 1) * labels), scale);
    gain += Math.log((noise / labels + (1 - noise) * probability) / ((counts[own] ?? 0) / of.length));
  }
  return { scale, noise, gain };
}

/** A label is flagged from this probability on that it is wrong: most that are, are surer. bench/audit.ts measures it. */
const doubted = 0.4;

export const isLikelyWrong = ({ wrong, score }: Suspicion): boolean => wrong > doubted && score > 0;

/** The examples that are likely mislabelled, most suspicious first. */
export function mislabelled(suspicions: readonly Suspicion[]): Suspicion[] {
  return mostSuspicious(suspicions).filter(isLikelyWrong);
}

/** Whether the embeddings say enough of the labels to doubt any. */
export const canDoubt = (suspicions: readonly Suspicion[]): boolean =>
  suspicions.some(({ wrong }) => wrong > 0);

/** Every example but those that are alone with their label, most suspicious first. */
export function mostSuspicious(suspicions: readonly Suspicion[]): Suspicion[] {
  return suspicions
    .filter(({ score }) => score > -Infinity)
    .toSorted((a, b) => b.wrong - a.wrong || b.score - a.score || a.row - b.row);
}
