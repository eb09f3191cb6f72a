import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/domain/seeded-random.js';
import { kmeans, type Points } from '../../../src/evaluate/metrics/kmeans.js';

const plane = (rows: readonly (readonly [number, number])[]): Points => ({
  count: rows.length,
  dimension: 2,
  values: Float32Array.from(rows.flat()),
});

describe('k-means', () => {
  it('finds three heaps that lie apart, whatever the seed', () => {
    const corner = (x: number, y: number): [number, number][] => [
      [x, y],
      [x + 1, y],
      [x, y + 1],
      [x + 1, y + 1],
    ];
    const points = plane([...corner(0, 0), ...corner(100, 0), ...corner(0, 100)]);
    for (let seed = 0; seed < 20; seed++) {
      const { assignments, inertia } = kmeans(points, { clusters: 3, random: seededRandom(seed) });
      const heaps = [0, 4, 8].map((start) => new Set(assignments.subarray(start, start + 4)));
      expect(heaps.map((heap) => heap.size)).toEqual([1, 1, 1]);
      expect(new Set(assignments).size).toBe(3);
      // Each corner of a unit square is half a squared unit from its middle.
      expect(inertia).toBeCloseTo(6, 9);
    }
  });

  it('gives the same clusters for the same seed', () => {
    const random = seededRandom(3);
    const points: Points = {
      count: 300,
      dimension: 8,
      values: Float32Array.from({ length: 2_400 }, random),
    };
    const run = (seed: number): Int32Array =>
      kmeans(points, { clusters: 7, random: seededRandom(seed) }).assignments;
    expect(run(1)).toEqual(run(1));
    expect(run(1)).not.toEqual(run(2));
  });

  it('ends where every point is nearest to the mean of its own cluster', () => {
    const random = seededRandom(5);
    const values = Float32Array.from({ length: 400 }, random);
    const { assignments, inertia } = kmeans(
      { count: 200, dimension: 2, values },
      { clusters: 5, random, maxIterations: 1_000 },
    );
    const means = Array.from({ length: 5 }, (_, cluster) => {
      const own = [...assignments.keys()].filter((i) => assignments[i] === cluster);
      const mean = (d: number): number =>
        own.reduce((sum, i) => sum + (values[2 * i + d] ?? NaN), 0) / own.length;
      return [mean(0), mean(1)] as const;
    });
    const squared = (i: number, [x, y]: readonly [number, number]): number =>
      ((values[2 * i] ?? NaN) - x) ** 2 + ((values[2 * i + 1] ?? NaN) - y) ** 2;
    let total = 0;
    for (const [i, cluster] of assignments.entries()) {
      const distances = means.map((mean) => squared(i, mean));
      expect(distances[cluster]).toBeLessThanOrEqual(Math.min(...distances) + 1e-12);
      total += distances[cluster] ?? NaN;
    }
    expect(inertia).toBeCloseTo(total, 9);
  });

  it('copes with points that coincide, and with a cluster for each point', () => {
    const same = plane(Array.from({ length: 5 }, () => [1, 2] as const));
    expect(kmeans(same, { clusters: 3, random: seededRandom(0) }).inertia).toBe(0);
    const apart = plane([0, 1, 2, 3].map((x) => [x, 0] as const));
    expect(new Set(kmeans(apart, { clusters: 4, random: seededRandom(0) }).assignments).size).toBe(4);
  });

  it('refuses more clusters than points', () => {
    const points = plane([[0, 0]]);
    expect(() => kmeans(points, { clusters: 2, random: seededRandom(0) })).toThrow('from 1 to 1');
    expect(() => kmeans(points, { clusters: NaN, random: seededRandom(0) })).toThrow('NaN');
  });
});
