import {
  confidenceOf,
  logitOf,
  sigmoid,
  type ConfidenceMap,
  type IsotonicMap,
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

const fits = { temperature: fitSigmoid, isotonic: fitIsotonic } as const;

/**
 * The kind of map with the lower negative log-likelihood in 5-fold cross-validation, fitted on all answers.
 * @param order a permutation of the answers' numbers, which deals them into folds
 */
export function fitConfidence(answers: readonly Answered[], order: ArrayLike<number>): FittedConfidence {
  const folds = foldsOf(answers.length, order);
  const heldOut = {
    temperature: crossValidate(answers, { folds, fit: fits.temperature }),
    isotonic: crossValidate(answers, { folds, fit: fits.isotonic }),
  };
  const losses = {
    temperature: meanLossOf(answers, heldOut.temperature),
    isotonic: meanLossOf(answers, heldOut.isotonic),
  };
  const kind = losses.isotonic < losses.temperature ? 'isotonic' : 'temperature';
  return { map: fits[kind](answers), heldOut: heldOut[kind], losses };
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
  return answers.map(({ share }, i) => {
    const map = maps[folds[i] ?? 0];
    return map === undefined ? NaN : confidenceOf(map, share);
  });
}

function meanLossOf(answers: readonly Answered[], confidences: readonly number[]): number {
  const losses = answers.map(({ correct }, i) => {
    const confidence = confidences[i] ?? NaN;
    return -Math.log(correct ? confidence : 1 - confidence);
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
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
export function fitIsotonic(answers: readonly Answered[]): IsotonicMap {
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

/** One answer: the top label's share of the vote, and whether that label was right. */
export interface Answered {
  readonly share: number;
  readonly correct: boolean;
}

const mostSteps = 100;

/**
 * Slope and bias of the likeliest sigmoid, by Newton's method with halved steps. The targets are Platt's (1999), a
 * little inside 0 and 1, so that answers that are all right have a finite fit. A share that rises with mistakes gets
 * slope 0: a map that falls would contradict the vote.
 */
export function fitSigmoid(answers: readonly Answered[]): SigmoidMap {
  const right = answers.filter(({ correct }) => correct).length;
  const targets = { right: (right + 1) / (right + 2), wrong: 1 / (answers.length - right + 2) };
  const points = answers.map(({ share, correct }) => ({
    x: logitOf(share),
    target: correct ? targets.right : targets.wrong,
  }));
  const mean = points.reduce((sum, { target }) => sum + target, 0) / points.length;
  const level = { slope: 0, bias: Math.log(mean / (1 - mean)) };
  const fitted = minimise(points, level);
  return { kind: 'temperature', ...(fitted.slope > 0 ? fitted : level) };
}

interface Point {
  readonly x: number;
  readonly target: number;
}

interface Line {
  readonly slope: number;
  readonly bias: number;
}

function minimise(points: readonly Point[], start: Line): Line {
  let line = start;
  for (let step = 0; step < mostSteps; step++) {
    const next = descend(points, line);
    if (next === undefined) return line;
    line = next;
  }
  return line;
}

/** A line with less loss, a Newton step away or half of one, a quarter ...; undefined where none is noticeably better. */
function descend(points: readonly Point[], line: Line): Line | undefined {
  const loss = lossOf(points, line);
  const step = newtonStep(points, line);
  for (let scale = 1; scale > 1e-9; scale /= 2) {
    const next = { slope: line.slope - scale * step.slope, bias: line.bias - scale * step.bias };
    if (loss - lossOf(points, next) > 1e-12 * points.length) return next;
  }
  return undefined;
}

/** Cross-entropy in nats, as log(1 + exp(z)) - target z, which does not overflow. */
function lossOf(points: readonly Point[], { slope, bias }: Line): number {
  return points.reduce((sum, { x, target }) => {
    const z = slope * x + bias;
    return sum + Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))) - target * z;
  }, 0);
}

/** Gradient divided by Hessian: [sum p(1-p)x^2, sum p(1-p)x; sum p(1-p)x, sum p(1-p)], and a ridge for equal shares. */
function newtonStep(points: readonly Point[], { slope, bias }: Line): Line {
  let [gradientSlope, gradientBias, xx, x1, one] = [0, 0, 1e-9, 0, 1e-9];
  for (const { x, target } of points) {
    const p = sigmoid(slope * x + bias);
    gradientSlope += (p - target) * x;
    gradientBias += p - target;
    xx += p * (1 - p) * x * x;
    x1 += p * (1 - p) * x;
    one += p * (1 - p);
  }
  const determinant = xx * one - x1 * x1;
  return {
    slope: (one * gradientSlope - x1 * gradientBias) / determinant,
    bias: (xx * gradientBias - x1 * gradientSlope) / determinant,
  };
}
