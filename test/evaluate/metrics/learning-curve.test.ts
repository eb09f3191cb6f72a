import { describe, expect, it } from 'vitest';
import { asEmbeddings, type Embeddings } from '../../../src/domain/embeddings.js';
import {
  learningCurves,
  type LabelCurve,
  type LearningCurves,
} from '../../../src/evaluate/metrics/learning-curve.js';
import { defaultVote } from '../../../src/vote/rules.js';
import { onCircle, seededRandom, unitRows } from '../../neighbours/unit-vectors.js';

/** Rows around `directions` of an axis each, and noise of a length around every one of them. */
interface Cluster {
  readonly label: string;
  readonly count: number;
  /** Axes, from..to: a class of many looks has many. */
  readonly axes: readonly number[];
}

const dimension = 64;

function draw(clusters: readonly Cluster[], noise = 0.02): { embeddings: Embeddings; labels: string[] } {
  const random = seededRandom(7);
  const rows = clusters.flatMap(({ count, axes }) =>
    Array.from({ length: count }, () => {
      const row = Array.from({ length: dimension }, () => noise * (random() - 0.5));
      const axis = axes[Math.floor(random() * axes.length)] ?? 0;
      row[axis] = (row[axis] ?? 0) + 1;
      return row;
    }),
  );
  return {
    embeddings: unitRows(rows),
    labels: clusters.flatMap(({ label, count }) => Array<string>(count).fill(label)),
  };
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

const curvesOf = (clusters: readonly Cluster[], queries = 300): LearningCurves =>
  learningCurves({ ...draw(clusters), vote: defaultVote, queries, seed: 1 });

const find = ({ labels }: LearningCurves, label: string): LabelCurve => {
  const found = labels.find((one) => one.label === label);
  if (found === undefined) throw new Error(`no ${label}`);
  return found;
};

const accuracyAt = ({ curve }: Pick<LabelCurve, 'curve'>, examples: number): number =>
  curve.find((point) => point.examples === examples)?.accuracy ?? NaN;

describe('a learning curve', () => {
  // A class of one look is known by one example; one of 20 looks only as far as its looks were seen.
  const plain: Cluster = { label: 'plain', count: 60, axes: [0] };
  const other: Cluster = { label: 'other', count: 60, axes: [1] };
  const manifold: Cluster = { label: 'manifold', count: 60, axes: range(2, 22) };

  it('is at its end with two examples for a class of one look, and not with twenty for one of twenty looks', () => {
    const curves = curvesOf([plain, other, manifold]);
    expect(accuracyAt(find(curves, 'plain'), 2)).toBe(1);
    // The chance that a look was seen is 1 - (19 / 20) ^ n; unseen looks are as far from all, and go to whom noise says.
    for (const examples of [5, 10, 20, 50]) {
      const seen = 1 - (19 / 20) ** examples;
      const accuracy = accuracyAt(find(curves, 'manifold'), examples);
      expect(accuracy).toBeGreaterThan(seen - 0.12);
      expect(accuracy).toBeLessThan(seen + (1 - seen) / 2 + 0.12);
    }
  });

  it('says which class would gain most from more examples, and how much', () => {
    const curves = curvesOf([plain, other, { ...manifold, count: 20 }]);
    expect(curves.labels.map(({ label }) => label)).toEqual(['manifold', 'plain', 'other']);
    // From 19 to 38 examples: 0.86 - 0.62 = 0.24 were no unseen look guessed right.
    expect(find(curves, 'manifold').gain).toBeGreaterThan(0.1);
    expect(find(curves, 'manifold').gain).toBeLessThan(0.35);
    expect(find(curves, 'plain').gain).toBe(0);
  });

  it('has a point for each size up to what a class has, the others having all of theirs', () => {
    const { labels } = curvesOf([plain, { ...other, count: 8 }]);
    const sizes = labels.map(({ label, curve }) => [label, curve.map(({ examples }) => examples)]);
    expect(Object.fromEntries(sizes)).toEqual({ plain: [1, 2, 5, 10, 20, 50, 59], other: [1, 2, 5, 7] });
  });

  it('is that of plain leave-one-out voting at its last point, by a double loop', () => {
    const { embeddings, labels } = draw([plain, other, { ...manifold, count: 12 }], 0.3);
    const curves = learningCurves({
      embeddings,
      labels,
      vote: { ...defaultVote, k: 1 },
      queries: 132,
      seed: 1,
    });
    const row = (i: number): Float32Array => embeddings.values.subarray(i * dimension, (i + 1) * dimension);
    const similarity = (a: number, b: number): number =>
      row(a).reduce((sum, value, i) => sum + value * (row(b)[i] ?? NaN), 0);
    const right = new Map<string, number>();
    for (const [query, label] of labels.entries()) {
      let best = -1;
      for (const other of labels.keys()) {
        if (other !== query && (best < 0 || similarity(query, other) > similarity(query, best))) best = other;
      }
      if (labels[best] === label) right.set(label, (right.get(label) ?? 0) + 1);
    }
    for (const { label, examples, images, curve } of curves.labels) {
      expect(images).toBe(examples);
      expect(curve.at(-1)?.accuracy).toBeCloseTo((right.get(label) ?? 0) / examples, 10);
    }
    const means = curves.labels.map(({ curve }) => curve.at(-1)?.accuracy ?? NaN);
    expect(curves.all.at(-1)?.accuracy).toBeCloseTo(
      means.reduce((sum, one) => sum + one, 0) / means.length,
      10,
    );
  });

  it('of a class of one example is empty, listed first, and of two is all that is missing', () => {
    const single: Cluster = { label: 'single', count: 1, axes: [3] };
    const pair: Cluster = { label: 'pair', count: 2, axes: [4, 5] };
    const curves = curvesOf([plain, pair, single]);
    expect(curves.labels[0]).toEqual({ label: 'single', examples: 1, images: 0, curve: [], gain: null });
    const { curve, gain } = find(curves, 'pair');
    expect(curve).toHaveLength(1);
    expect(gain).toBe(1 - (curve[0]?.accuracy ?? NaN));
  });

  it('of a class of which nothing is recognised yet is listed before those that gain a little', () => {
    // Each of the three lies among the plain ones, and twenty vote.
    const lost: Cluster = { label: 'lost', count: 3, axes: plain.axes };
    const { labels } = curvesOf([plain, lost]);
    expect(labels.map(({ label, gain }) => [label, gain])).toEqual([
      ['lost', null],
      ['plain', 0],
    ]);
    expect(labels[0]?.curve.map(({ accuracy }) => accuracy)).toEqual([0, 0]);
  });

  it('is the same for the same seed, and empty for no examples', () => {
    expect(curvesOf([plain, manifold], 40)).toEqual(curvesOf([plain, manifold], 40));
    const none = asEmbeddings(new Float32Array(0), 2);
    expect(learningCurves({ embeddings: none, labels: [], vote: defaultVote, queries: 9, seed: 1 })).toEqual({
      all: [],
      labels: [],
    });
  });

  it('asks as many images as told, small classes giving what they have', () => {
    const { labels } = curvesOf([plain, { ...other, count: 4 }, manifold], 44);
    expect(labels.reduce((sum, { images }) => sum + images, 0)).toBe(44);
    expect(labels.map(({ images }) => images).sort((a, b) => a - b)).toEqual([4, 20, 20]);
  });

  it('votes with the k it is told', () => {
    // One cat at 0 degrees, among dogs at 10, 20 and 30; the other cat at 5: with k = 1 a cat, with k = 4 outvoted.
    const embeddings = onCircle([0, 5, 20, 21, 22]);
    const labels = ['cat', 'cat', 'dog', 'dog', 'dog'];
    const accuracy = (k: number): number | undefined =>
      learningCurves({
        embeddings,
        labels,
        vote: { rule: 'majority', temperature: 1, k },
        queries: 5,
        seed: 1,
      }).labels.find(({ label }) => label === 'cat')?.curve[0]?.accuracy;
    expect([accuracy(1), accuracy(4)]).toEqual([1, 0]);
  });
});
