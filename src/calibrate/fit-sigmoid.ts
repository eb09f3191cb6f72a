import { logitOf, sigmoid, type SigmoidMap } from '../vote/confidence.js';

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
