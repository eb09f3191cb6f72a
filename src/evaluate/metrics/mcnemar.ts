/** Images on which two classifiers differ: one right, the other wrong. */
export interface Disagreement {
  readonly onlyFirstRight: number;
  readonly onlySecondRight: number;
}

export interface McNemar extends Disagreement {
  /** Two-sided p by the binomial distribution: right at any count. */
  readonly exactP: number;
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
  const fewer = Math.min(onlyFirstRight, onlySecondRight);
  const exactP = Math.min(1, 2 * coinTail(fewer, onlyFirstRight + onlySecondRight));
  return { onlyFirstRight, onlySecondRight, exactP };
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
