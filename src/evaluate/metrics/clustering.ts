import { NearvoteError } from '../../domain/errors.js';

export interface ClusterAgreement {
  /** Mutual information over the mean of both entropies: 1 where clusters and labels are one to one. */
  readonly nmi: number;
  /** The same with what chance would give taken out: about 0 for random clusters, and it may be below. */
  readonly ami: number;
}

interface Contingency {
  readonly count: number;
  readonly labelSizes: readonly number[];
  readonly clusterSizes: readonly number[];
  /** Only pairs that occur: `[label, cluster, images]`. */
  readonly cells: readonly (readonly [number, number, number])[];
}

/**
 * How well clusters agree with labels, one of each for every image: normalised and adjusted mutual information with
 * arithmetic means, as scikit-learn has them (Vinh, Epps & Bailey 2010). The names of the clusters do not matter.
 * @throws NearvoteError `internal` when there are not as many clusters as labels
 */
export function clusterAgreement(labels: readonly string[], clusters: ArrayLike<number>): ClusterAgreement {
  if (labels.length !== clusters.length) {
    throw new NearvoteError(
      'internal',
      `Expected a cluster for each of ${labels.length} labels but received ${clusters.length}`,
    );
  }
  const table = contingency(labels, clusters);
  const { count, labelSizes, clusterSizes } = table;
  // One group on both sides, or nothing at all: they say the same.
  if (labelSizes.length === clusterSizes.length && labelSizes.length <= 1) return { nmi: 1, ami: 1 };
  const mean = (entropy(labelSizes, count) + entropy(clusterSizes, count)) / 2;
  const mutual = mutualInformation(table);
  const expected = expectedMutualInformation(table);
  return { nmi: mutual / mean, ami: (mutual - expected) / awayFromZero(mean - expected) };
}

function contingency(labels: readonly string[], clusters: ArrayLike<number>): Contingency {
  const labelRows = new Map<string, number>();
  const clusterColumns = new Map<number, number>();
  const labelSizes: number[] = [];
  const clusterSizes: number[] = [];
  const cells = new Map<string, [number, number, number]>();
  for (const [i, label] of labels.entries()) {
    const row = numberOf(labelRows, label);
    const column = numberOf(clusterColumns, clusters[i] ?? NaN);
    labelSizes[row] = (labelSizes[row] ?? 0) + 1;
    clusterSizes[column] = (clusterSizes[column] ?? 0) + 1;
    const cell = cells.get(`${row},${column}`);
    if (cell === undefined) cells.set(`${row},${column}`, [row, column, 1]);
    else cell[2]++;
  }
  return { count: labels.length, labelSizes, clusterSizes, cells: [...cells.values()] };
}

/** Its number among the keys, in the order of their first appearance. */
function numberOf<K>(numbers: Map<K, number>, key: K): number {
  const number = numbers.get(key) ?? numbers.size;
  numbers.set(key, number);
  return number;
}

/** In nats. */
function entropy(sizes: readonly number[], count: number): number {
  return -sizes.reduce((sum, size) => sum + (size / count) * Math.log(size / count), 0);
}

function mutualInformation({ count, labelSizes, clusterSizes, cells }: Contingency): number {
  return cells.reduce((sum, [row, column, both]) => {
    const byChance = ((labelSizes[row] ?? NaN) * (clusterSizes[column] ?? NaN)) / count;
    return sum + (both / count) * Math.log(both / byChance);
  }, 0);
}

/**
 * The mean mutual information of random tables with these sizes. The images that a label of size a and a cluster of size
 * b share are hypergeometric: P(n) = a! b! (N - a)! (N - b)! / (N! n! (a - n)! (b - n)! (N - a - b + n)!).
 */
function expectedMutualInformation({ count, labelSizes, clusterSizes }: Contingency): number {
  const lnFactorial = lnFactorials(count);
  const ln = (n: number): number => lnFactorial[n] ?? NaN;
  // Only the sizes matter, and many groups may have the same.
  const columns = tally(clusterSizes);
  let expected = 0;
  for (const [a, rows] of tally(labelSizes)) {
    for (const [b, times] of columns) {
      const fixed = ln(a) + ln(b) + ln(count - a) + ln(count - b) - ln(count);
      let sum = 0;
      for (let n = Math.max(1, a + b - count); n <= Math.min(a, b); n++) {
        const probability = Math.exp(fixed - ln(n) - ln(a - n) - ln(b - n) - ln(count - a - b + n));
        sum += (n / count) * Math.log((count * n) / (a * b)) * probability;
      }
      expected += rows * times * sum;
    }
  }
  return expected;
}

function tally(sizes: readonly number[]): Map<number, number> {
  const times = new Map<number, number>();
  for (const size of sizes) times.set(size, (times.get(size) ?? 0) + 1);
  return times;
}

/** `[n + 1]`, the natural logarithm of 0! to n!. */
function lnFactorials(n: number): Float64Array {
  const logs = new Float64Array(n + 1);
  for (let i = 2; i <= n; i++) logs[i] = (logs[i - 1] ?? NaN) + Math.log(i);
  return logs;
}

/** Where no table with these sizes does better than chance, 0 / 0 is to be 0, as in scikit-learn. */
function awayFromZero(difference: number): number {
  return difference < 0 ? Math.min(difference, -Number.EPSILON) : Math.max(difference, Number.EPSILON);
}
