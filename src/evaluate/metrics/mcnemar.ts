/** Images on which two classifiers differ: one right, the other wrong. */
export interface Disagreement {
  readonly onlyFirstRight: number;
  readonly onlySecondRight: number;
}

export interface McNemar extends Disagreement {
  /** Two-sided p by the binomial distribution: right at any count. */
  readonly exactP: number;
  /** (|b - c| - 1)^2 / (b + c), with Edwards' continuity correction; 0 where b = c. */
  readonly chiSquare: number;
  /** Two-sided p of that by one degree of freedom: a good approximation from b + c = 25 or so. */
  readonly chiSquareP: number;
}

/** Counts the images that one of two classifiers got right and the other did not, both over the same images in order. */
export function disagreement(first: readonly boolean[], second: readonly boolean[]): Disagreement {
  const differ = first.filter((right, i) => right !== second[i]);
  const onlyFirstRight = differ.filter((right) => right).length;
  return { onlyFirstRight, onlySecondRight: differ.length - onlyFirstRight };
}

/**
 * McNemar's test (1947): were both equally often right, each difference would fall either way like a coin. Where they
 * never differ, p is 1.
 */
export function mcnemar({ onlyFirstRight, onlySecondRight }: Disagreement): McNemar {
  const differ = onlyFirstRight + onlySecondRight;
  const excess = Math.max(Math.abs(onlyFirstRight - onlySecondRight) - 1, 0);
  const chiSquare = differ === 0 ? 0 : excess ** 2 / differ;
  return {
    onlyFirstRight,
    onlySecondRight,
    exactP: Math.min(1, 2 * coinTail(Math.min(onlyFirstRight, onlySecondRight), differ)),
    chiSquare,
    chiSquareP: complementaryError(Math.sqrt(chiSquare / 2)),
  };
}

/** The chance of at most `heads` heads in `tosses` tosses of a fair coin. */
function coinTail(heads: number, tosses: number): number {
  let lnTerm = -tosses * Math.LN2;
  let sum = 0;
  for (let i = 0; i <= heads; i++) {
    sum += Math.exp(lnTerm);
    lnTerm += Math.log((tosses - i) / (i + 1));
  }
  return sum;
}

/**
 * erfc(x) for x >= 0: below 2 from the series of erf, above from Laplace's continued fraction (Abramowitz & Stegun 7.1.6
 * and 7.1.14).
 */
function complementaryError(x: number): number {
  const front = Math.exp(-x * x) / Math.sqrt(Math.PI);
  if (x >= 2) {
    let fraction = x;
    for (let i = 60; i > 0; i--) fraction = x + i / 2 / fraction;
    return front / fraction;
  }
  let term = x;
  let sum = 0;
  for (let n = 0; term > sum * Number.EPSILON; n++) {
    sum += term;
    term *= (2 * x * x) / (2 * n + 3);
  }
  return 1 - 2 * front * sum;
}
