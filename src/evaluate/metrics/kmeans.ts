import { NearvoteError } from '../../domain/errors.js';
import type { Random } from '../../domain/seeded-random.js';

/** Row-major points, `values: [count, dimension]`. */
export interface Points {
  readonly count: number;
  readonly dimension: number;
  readonly values: Float32Array;
}

export interface KMeansOptions {
  readonly clusters: number;
  /** In [0, 1); seed it. */
  readonly random: Random;
  /** Each finds a different optimum: the tightest of ten unless told, as scikit-learn had it for long. */
  readonly starts?: number | undefined;
  /** 300 unless told; it stops sooner when no point moves. */
  readonly maxIterations?: number | undefined;
}

export interface Clusters {
  /** `[count]`, the cluster of each point, from 0. */
  readonly assignments: Int32Array;
  /** Sum of squared distances of the points to the means of their clusters. */
  readonly inertia: number;
  readonly iterations: number;
}

/**
 * Lloyd's k-means from greedy k-means++ starts (Arthur & Vassilvitskii 2007), the tightest of some. A cluster that loses
 * all its points takes the one that lies furthest from its own mean; only where points coincide may a cluster stay empty.
 * @throws NearvoteError `internal` when there are fewer points than clusters
 */
export function kmeans(points: Points, options: KMeansOptions): Clusters {
  const { clusters, starts = 10 } = options;
  if (!(clusters >= 1 && clusters <= points.count)) {
    throw new NearvoteError(
      'internal',
      `Expected from 1 to ${points.count} clusters, as there are points, but received ${clusters}`,
    );
  }
  let tightest = oneStart(points, options);
  for (let start = 1; start < starts; start++) {
    const next = oneStart(points, options);
    if (next.inertia < tightest.inertia) tightest = next;
  }
  return tightest;
}

function oneStart(points: Points, { clusters, random, maxIterations = 300 }: KMeansOptions): Clusters {
  const means = plusPlusStarts(points, clusters, random);
  const state: State = {
    ...{ points, means, clusters },
    assignments: new Int32Array(points.count).fill(-1),
    distances: new Float64Array(points.count),
    others: new Float64Array(points.count),
  };
  const { assignments, distances } = state;
  let iterations = 0;
  let moved = assign(state, 0);
  while (moved > 0 && iterations < maxIterations) {
    iterations++;
    reviveEmpty(state);
    moved = assign(state, takeMeans(state));
  }
  return { assignments, inertia: distances.reduce((sum, one) => sum + one, 0), iterations };
}

/**
 * `[clusters, dimension]`: points, each chosen with a chance that grows with its squared distance to those before. Of a few
 * that are drawn the one is taken that leaves the least sum of squared distances: the greedy choice of the paper's
 * authors, with as many trials as scikit-learn makes.
 */
function plusPlusStarts(points: Points, clusters: number, random: Random): Float64Array {
  const { count, dimension, values } = points;
  const trials = 2 + Math.floor(Math.log(clusters));
  const means = new Float64Array(clusters * dimension);
  let [nearest, best, tried] = [0, 1, 2].map(() => new Float64Array(count)) as [
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  nearest.fill(Infinity);
  const place = (point: number, cluster: number): void =>
    means.set(values.subarray(point * dimension, (point + 1) * dimension), cluster * dimension);
  /** Of each point, the mean that it is nearest to. */
  const owners = new Int32Array(count);
  /** The distances to the nearest mean with this cluster's too, and their sum. */
  const measure = (placed: number, cluster: number, into: Float64Array): number => {
    const apart = Float64Array.from({ length: cluster }, (_, other) =>
      squaredDistance(points, placed, means, other),
    );
    let sum = 0;
    for (let point = 0; point < count; point++) {
      let far = nearest[point] ?? NaN;
      // What lies twice as far from a point's own mean as the point does is no nearer to the point.
      if (!(4 * far <= (apart[owners[point] ?? -1] ?? -1))) {
        far = Math.min(far, squaredDistance(points, point, means, cluster));
      }
      into[point] = far;
      sum += far;
    }
    return sum;
  };

  const first = Math.floor(random() * count);
  place(first, 0);
  let total = measure(first, 0, best);
  [nearest, best] = [best, nearest];
  for (let cluster = 1; cluster < clusters; cluster++) {
    let [least, chosen] = [Infinity, -1];
    for (let trial = 0; trial < trials; trial++) {
      const point = pick(nearest, random() * total);
      place(point, cluster);
      const sum = measure(point, cluster, tried);
      if (sum >= least) continue;
      [least, chosen] = [sum, point];
      [best, tried] = [tried, best];
    }
    place(chosen, cluster);
    total = least;
    for (let point = 0; point < count; point++) {
      if ((best[point] ?? NaN) < (nearest[point] ?? NaN)) owners[point] = cluster;
    }
    [nearest, best] = [best, nearest];
  }
  return means;
}

/** The index at which the running sum passes `target`; where all weigh nothing, the last. */
function pick(weights: Float64Array, target: number): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    sum += weights[i] ?? NaN;
    if (sum > target) return i;
  }
  return weights.length - 1;
}

interface State {
  readonly points: Points;
  /** `[clusters, dimension]` */
  readonly means: Float64Array;
  readonly clusters: number;
  readonly assignments: Int32Array;
  /** `[count]`, squared, to the mean of its cluster. */
  readonly distances: Float64Array;
  /** `[count]`: no mean of another cluster is nearer than this, not squared. */
  readonly others: Float64Array;
}

/**
 * Gives each point to the nearest mean, the first of equals, after no mean went farther than `farthest`; the number of
 * points that moved. A point whose own mean is nearer than any other can be need not ask the others (Hamerly 2010).
 */
function assign(state: State, farthest: number): number {
  const { points, means, clusters, assignments, distances, others } = state;
  let moved = 0;
  for (let point = 0; point < points.count; point++) {
    const own = assignments[point] ?? -1;
    if (own >= 0) {
      const far = squaredDistance(points, point, means, own);
      const bound = (others[point] ?? NaN) - farthest;
      distances[point] = far;
      others[point] = bound;
      if (Math.sqrt(far) < bound) continue;
    }
    let best = 0;
    let least = Infinity;
    let second = Infinity;
    for (let cluster = 0; cluster < clusters; cluster++) {
      const far = squaredDistance(points, point, means, cluster);
      if (far < least) {
        second = least;
        least = far;
        best = cluster;
      } else if (far < second) second = far;
    }
    if (own !== best) moved++;
    assignments[point] = best;
    distances[point] = least;
    others[point] = Math.sqrt(second);
  }
  return moved;
}

function reviveEmpty({ clusters, assignments, distances, others }: State): void {
  const sizes = new Int32Array(clusters);
  for (const cluster of assignments) sizes[cluster] = (sizes[cluster] ?? 0) + 1;
  for (let cluster = 0; cluster < clusters; cluster++) {
    if (sizes[cluster] !== 0) continue;
    const furthest = distances.reduce((best, far, i) => (far > (distances[best] ?? NaN) ? i : best), 0);
    if (distances[furthest] === 0) return;
    const from = assignments[furthest] ?? 0;
    sizes[from] = (sizes[from] ?? 0) - 1;
    assignments[furthest] = cluster;
    distances[furthest] = 0;
    others[furthest] = 0;
  }
}

/** Moves each mean to the middle of its points, one without points stays; how far the farthest went. */
function takeMeans({ points, means, clusters, assignments }: State): number {
  const { dimension, values } = points;
  const sums = new Float64Array(means.length);
  const sizes = new Int32Array(clusters);
  for (const [point, cluster] of assignments.entries()) {
    sizes[cluster] = (sizes[cluster] ?? 0) + 1;
    for (let d = 0; d < dimension; d++) {
      const at = cluster * dimension + d;
      sums[at] = (sums[at] ?? NaN) + (values[point * dimension + d] ?? NaN);
    }
  }
  let farthest = 0;
  for (let cluster = 0; cluster < clusters; cluster++) {
    const size = sizes[cluster] ?? 0;
    if (size === 0) continue;
    let squared = 0;
    for (let at = cluster * dimension; at < (cluster + 1) * dimension; at++) {
      const middle = (sums[at] ?? NaN) / size;
      squared += (middle - (means[at] ?? NaN)) ** 2;
      means[at] = middle;
    }
    farthest = Math.max(farthest, Math.sqrt(squared));
  }
  return farthest;
}

function squaredDistance(
  { values, dimension }: Points,
  point: number,
  means: Float64Array,
  mean: number,
): number {
  const from = point * dimension;
  const to = mean * dimension;
  let sum = 0;
  for (let d = 0; d < dimension; d++) {
    const difference = (values[from + d] ?? NaN) - (means[to + d] ?? NaN);
    sum += difference * difference;
  }
  return sum;
}
