import { lossOf, squaredErrorOf } from '../evaluate/metrics/confidence.js';
import {
  confidenceOf,
  featuresOf,
  logitOf,
  sigmoid,
  type ClassDirection,
  type ConfidenceMap,
  type Evidence,
  type IsotonicMap,
  type LogisticMap,
  type SigmoidMap,
} from '../vote/confidence.js';

const mostFolds = 5;

export interface FittedConfidence {
  /** Fitted on every answer. */
  readonly map: ConfidenceMap;
  /** Of each answer, by a map fitted without it: what the map is worth on images it has not seen. */
  readonly heldOut: readonly number[];
  /** Mean negative log-likelihood in nats of the held-out confidences, by kind. */
  readonly losses: Readonly<Record<ConfidenceMap['kind'], number>>;
}

export interface FitConfidenceOptions {
  /** A permutation of the answers' numbers, which deals them into folds. */
  readonly order: ArrayLike<number>;
  /** What the answers' margins were measured by. */
  readonly directions: readonly ClassDirection[];
}

/**
 * The kind of map with the lowest negative log-likelihood in 5-fold cross-validation, fitted on all answers. Where that
 * is no likelier than the share of the vote itself, or has a larger squared error, the share stays as it is.
 */
export function fitConfidence(
  answers: readonly Answered[],
  { order, directions }: FitConfidenceOptions,
): FittedConfidence {
  const fits = {
    share: (): ConfidenceMap => ({ kind: 'share' }),
    temperature: fitSigmoid,
    isotonic: fitIsotonic,
    logistic: (some: readonly Answered[]) => fitLogistic(some, directions),
  } as const;
  const kinds = ['temperature', 'isotonic', 'logistic'] as const;
  const folds = foldsOf(answers.length, order);
  const measure = (kind: ConfidenceMap['kind']): Measured => {
    const heldOut = crossValidate(answers, { folds, fit: fits[kind] });
    const confident = answers.map(({ correct }, i) => ({ confidence: heldOut[i] ?? NaN, correct }));
    return {
      kind,
      heldOut,
      loss: meanOf(confident.map(lossOf)),
      error: meanOf(confident.map(squaredErrorOf)),
    };
  };
  const share = measure('share');
  const fitted = kinds.map(measure);
  const [best = share] = fitted.toSorted((a, b) => a.loss - b.loss);
  const { kind, heldOut } = best.loss < share.loss && best.error <= share.error ? best : share;
  const losses = Object.fromEntries([share, ...fitted].map((one) => [one.kind, one.loss]));
  return { map: fits[kind](answers), heldOut, losses: losses as FittedConfidence['losses'] };
}

interface Measured {
  readonly kind: ConfidenceMap['kind'];
  readonly heldOut: readonly number[];
  readonly loss: number;
  readonly error: number;
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The fold of each answer. */
function foldsOf(count: number, order: ArrayLike<number>): number[] {
  const folds = new Array<number>(count).fill(0);
  for (let i = 0; i < count; i++) folds[order[i] ?? i] = i % mostFolds;
  return folds;
}

function crossValidate(
  answers: readonly Answered[],
  { folds, fit }: { readonly folds: readonly number[]; fit: (answers: readonly Answered[]) => ConfidenceMap },
): number[] {
  const maps = Array.from({ length: mostFolds }, (_, fold) => {
    const others = answers.filter((__, i) => folds[i] !== fold);
    return fit(others.length === 0 ? answers : others);
  });
  return answers.map((answer, i) => {
    const map = maps[folds[i] ?? 0];
    return map === undefined ? NaN : confidenceOf(map, answer);
  });
}

/** Answers whose shares lie between two shares, both counted. */
interface Block {
  readonly from: number;
  to: number;
  count: number;
  right: number;
}

/**
 * The never-falling map with the least squared error, by pooling adjacent violators (Ayer et al. 1955), as scikit-learn's
 * IsotonicRegression: each pooled block is level and straight lines join the blocks. Probabilities stay 1 / (n + 2)
 * away from 0 and 1, as Laplace's rule has it for n answers that were all right.
 */
export function fitIsotonic(answers: readonly SharedAnswer[]): IsotonicMap {
  const blocks: Block[] = [];
  for (const { share, correct } of answers.toSorted((a, b) => a.share - b.share)) {
    const last = blocks.at(-1);
    if (last?.from === share && last.to === share) {
      // The same share has one probability.
      last.count++;
      if (correct) last.right++;
    } else {
      pool(blocks);
      blocks.push({ from: share, to: share, count: 1, right: correct ? 1 : 0 });
    }
  }
  pool(blocks);
  const least = 1 / (answers.length + 2);
  const shares: number[] = [];
  const probabilities: number[] = [];
  for (const { from, to, count, right } of blocks) {
    const probability = Math.min(Math.max(right / count, least), 1 - least);
    for (const share of from === to ? [from] : [from, to]) {
      shares.push(share);
      probabilities.push(probability);
    }
  }
  return { kind: 'isotonic', shares, probabilities };
}

/** Joins the last block to those before it until none is right more often than the one after it. */
function pool(blocks: Block[]): void {
  for (;;) {
    const [before, last] = blocks.slice(-2);
    if (before === undefined || last === undefined) return;
    // before.right / before.count <= last.right / last.count, without rounding.
    if (before.right * last.count <= last.right * before.count) return;
    before.to = last.to;
    before.count += last.count;
    before.right += last.right;
    blocks.pop();
  }
}

/** One answer: what spoke for its label, and whether that label was right. */
export interface Answered extends Evidence {
  readonly correct: boolean;
}

/** All that a map of the share alone is fitted on. */
export type SharedAnswer = Pick<Answered, 'share' | 'correct'>;

/**
 * Slope and bias of the likeliest sigmoid. A share that rises with mistakes gets slope 0: a map that falls would
 * contradict the vote.
 */
export function fitSigmoid(answers: readonly SharedAnswer[]): SigmoidMap {
  const rows = answers.map(({ share }) => [logitOf(share)]);
  const { weights, bias } = likeliest(rows, { targets: targetsOf(answers), ridge: 1e-9 });
  const [slope = 0] = weights;
  if (slope > 0) return { kind: 'temperature', slope, bias };
  const mean = meanOf(targetsOf(answers));
  return { kind: 'temperature', slope: 0, bias: Math.log(mean / (1 - mean)) };
}

/**
 * The likeliest logistic regression on the features of the evidence. Half the squared weights of the standardised
 * features are its penalty, scikit-learn's C = 1: few images shall not promise much.
 */
export function fitLogistic(
  answers: readonly Answered[],
  directions: readonly ClassDirection[],
): LogisticMap {
  const rows = answers.map(featuresOf);
  const width = rows[0]?.length ?? 0;
  const means = Array.from({ length: width }, (_, j) => meanOf(rows.map((row) => row[j] ?? NaN)));
  const scales = means.map((mean, j) => {
    const deviation = Math.sqrt(meanOf(rows.map((row) => ((row[j] ?? NaN) - mean) ** 2)));
    return deviation > 1e-9 ? deviation : 1;
  });
  const standard = rows.map((row) => row.map((value, j) => (value - (means[j] ?? NaN)) / (scales[j] ?? NaN)));
  const fitted = likeliest(standard, { targets: targetsOf(answers), ridge: 1 });
  const weights = fitted.weights.map((weight, j) => weight / (scales[j] ?? NaN));
  const bias = weights.reduce((sum, weight, j) => sum - weight * (means[j] ?? NaN), fitted.bias);
  return { kind: 'logistic', weights, bias, directions };
}

/** Platt's (1999), a little inside 0 and 1, so that answers that are all right have a finite fit. */
function targetsOf(answers: readonly SharedAnswer[]): number[] {
  const right = answers.filter(({ correct }) => correct).length;
  const targets = { right: (right + 1) / (right + 2), wrong: 1 / (answers.length - right + 2) };
  return answers.map(({ correct }) => (correct ? targets.right : targets.wrong));
}

const mostSteps = 100;

interface LikeliestOptions {
  readonly targets: readonly number[];
  /** The penalty is this times half the squared weights; the bias is free. */
  readonly ridge: number;
}

/**
 * Weights and bias with the least cross-entropy and penalty, by Newton's method with halved steps.
 * @param rows `[n, features]`
 */
function likeliest(
  rows: readonly (readonly number[])[],
  { targets, ridge }: LikeliestOptions,
): { readonly weights: readonly number[]; readonly bias: number } {
  // The bias is the weight of a last feature that is always 1.
  const points = rows.map((row) => [...row, 1]);
  const mean = meanOf(targets);
  let at = [...(rows[0] ?? []).map(() => 0), Math.log(mean / (1 - mean))];
  const penaltyOf = (j: number): number => (j < at.length - 1 ? ridge : 1e-9);
  const logitAt = (weights: readonly number[], point: readonly number[]): number =>
    point.reduce((sum, value, j) => sum + value * (weights[j] ?? NaN), 0);
  // Cross-entropy in nats as log(1 + exp(z)) - target z, which does not overflow.
  const lossAt = (weights: readonly number[]): number =>
    points.reduce(
      (sum, point, i) => {
        const z = logitAt(weights, point);
        return sum + Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - (targets[i] ?? NaN) * z;
      },
      weights.reduce((sum, weight, j) => sum + (penaltyOf(j) * weight * weight) / 2, 0),
    );
  for (let step = 0; step < mostSteps; step++) {
    const gradient = at.map((weight, j) => penaltyOf(j) * weight);
    const hessian = at.map((_, j) => at.map((__, l) => (j === l ? penaltyOf(j) : 0)));
    for (const [i, point] of points.entries()) {
      const p = sigmoid(logitAt(at, point));
      for (const [j, value] of point.entries()) {
        gradient[j] = (gradient[j] ?? NaN) + (p - (targets[i] ?? NaN)) * value;
        const row = hessian[j] ?? [];
        for (const [l, other] of point.entries()) row[l] = (row[l] ?? NaN) + p * (1 - p) * value * other;
      }
    }
    const direction = solve(hessian, gradient);
    const loss = lossAt(at);
    let next: number[] | undefined;
    for (let scale = 1; scale > 1e-9 && next === undefined; scale /= 2) {
      const tried = at.map((weight, j) => weight - scale * (direction[j] ?? NaN));
      if (loss - lossAt(tried) > 1e-12 * points.length) next = tried;
    }
    if (next === undefined) break;
    at = next;
  }
  return { weights: at.slice(0, -1), bias: at.at(-1) ?? NaN };
}

/** x of `matrix` x = `right`, by elimination; the matrix, which is positive definite, is used up. */
function solve(matrix: number[][], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i] ?? NaN]);
  for (const [i, pivot] of rows.entries()) {
    for (const below of rows.slice(i + 1)) {
      const factor = (below[i] ?? NaN) / (pivot[i] ?? NaN);
      for (let j = i; j < below.length; j++) below[j] = (below[j] ?? NaN) - factor * (pivot[j] ?? NaN);
    }
  }
  const solution = new Array<number>(rows.length).fill(0);
  for (let i = rows.length - 1; i >= 0; i--) {
    const row = rows[i] ?? [];
    const known = solution.reduce((sum, value, j) => (j > i ? sum + value * (row[j] ?? NaN) : sum), 0);
    solution[i] = ((row.at(-1) ?? NaN) - known) / (row[i] ?? NaN);
  }
  return solution;
}
