import { describe, expect, it } from 'vitest';
import { linearScores } from '../../src/audit/linear-scores.js';
import { numberLabels } from '../../src/audit/labelling.js';
import {
  fitNoise,
  mislabelled,
  mostSuspicious,
  suspicions,
  wrongProbability,
  type Suspicion,
} from '../../src/audit/mislabelled.js';
import { asEmbeddings, type Embeddings } from '../../src/domain/embeddings.js';
import { onCircle, randomUnitRows, seededRandom, unitRows } from '../neighbours/unit-vectors.js';

/** Solves A x = b by Gauss's elimination with pivots. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i] ?? NaN]);
  const at = (i: number, j: number): number => rows[i]?.[j] ?? NaN;
  for (let i = 0; i < rows.length; i++) {
    const pivot = rows.reduce(
      (best, _, r) => (r >= i && Math.abs(at(r, i)) > Math.abs(at(best, i)) ? r : best),
      i,
    );
    [rows[i], rows[pivot]] = [rows[pivot] ?? [], rows[i] ?? []];
    for (let r = 0; r < rows.length; r++) {
      const factor = r === i ? 0 : at(r, i) / at(i, i);
      rows[r] = (rows[r] ?? []).map((value, j) => value - factor * at(i, j));
    }
  }
  return rows.map((_, i) => at(i, rows.length) / at(i, i));
}

/** The ridge regression of one label fitted without a row, asked about that row. */
function withoutRow(embeddings: Embeddings, isLabel: readonly boolean[], left: number): number {
  const { count, dimension, values } = embeddings;
  const rows = Array.from({ length: count }, (_, row) => [
    ...values.subarray(row * dimension, (row + 1) * dimension),
    1,
  ]);
  const others = rows.filter((_, row) => row !== left);
  const squares = rows.flatMap((row) => row.slice(0, -1)).reduce((sum, value) => sum + value * value, 0);
  const product = (i: number, j: number): number =>
    others.reduce((sum, row) => sum + (row[i] ?? NaN) * (row[j] ?? NaN), 0);
  const normal = Array.from({ length: dimension + 1 }, (_, i) =>
    Array.from(
      { length: dimension + 1 },
      (_unused, j) => product(i, j) + (i === j && i < dimension ? (0.1 * squares) / dimension : 0),
    ),
  );
  const targets = isLabel.filter((_, row) => row !== left).map(Number);
  const right = normal.map((_, i) =>
    others.reduce((sum, row, o) => sum + (row[i] ?? NaN) * (targets[o] ?? NaN), 0),
  );
  const weights = solve(normal, right);
  return (rows[left] ?? []).reduce((sum, value, i) => sum + value * (weights[i] ?? NaN), 0);
}

describe('the scores of a row', () => {
  it.each([13, 16])('are those of a ridge regression fitted to the other rows alone, of %i', (count) => {
    const embeddings = randomUnitRows(count, 5);
    const labels = Array.from({ length: count }, (_, row) => 'abc'[row % 3] ?? '');
    const scores = linearScores({ embeddings, labelling: numberLabels(labels) });
    const into = new Float64Array(3);
    for (let row = 0; row < count; row++) {
      scores.score(row, into);
      for (const [label, name] of ['a', 'b', 'c'].entries()) {
        const isLabel = labels.map((one) => one === name);
        expect(into[label]).toBeCloseTo(withoutRow(embeddings, isLabel, row), 9);
      }
    }
  });
});

describe('the noise of labels', () => {
  /** Labels drawn by the softmax of three scores times 4, and a share of them evenly. */
  function drawLabels(count: number, share: number) {
    const random = seededRandom(5);
    const scores = Array.from({ length: count }, () => [2 * random(), 2 * random(), 2 * random()]);
    const labels = scores.map((own) => {
      if (random() < share) return Math.floor(3 * random());
      const weights = own.map((score) => Math.exp(4 * score));
      let left = random() * weights.reduce((sum, weight) => sum + weight, 0);
      return Math.min(
        2,
        weights.findIndex((weight) => (left -= weight) < 0),
      );
    });
    const model = { score: (row: number, into: Float64Array) => into.set(scores[row] ?? []) };
    return fitNoise(model, numberLabels(labels.map(String)));
  }

  it.each([0, 0.1, 0.3])('is found beside the scale that labels were drawn with: %d', (share) => {
    const { scale, noise } = drawLabels(40_000, share);
    expect(noise).toBeGreaterThan(share - 0.02);
    expect(noise).toBeLessThan(share + 0.02);
    expect(scale).toBeGreaterThan(3.7);
    expect(scale).toBeLessThan(4.3);
  });
});

it('the probability that a label is wrong leaves out those that fell on the right one at random', () => {
  const truths = [0.5, 0.3, 0.2];
  for (const noise of [0, 0.05, 0.4, 1]) {
    for (const [given, probability] of truths.entries()) {
      let [wrong, all] = [0, 0];
      for (const [truth, chance] of truths.entries()) {
        const both = chance * (noise / 3 + (truth === given ? 1 - noise : 0));
        all += both;
        if (truth !== given) wrong += both;
      }
      expect(wrongProbability({ probability, noise, labels: 3 })).toBeCloseTo(wrong / all, 12);
    }
  }
});

describe('suspicion', () => {
  /** Two thick arcs of 60 degrees, every sixth degree a row; `swapped` have the other arc's label. */
  function arcs(swapped: readonly number[]): Suspicion[] {
    const angles = Array.from({ length: 40 }, (_, i) => (i < 20 ? 3 * i : 120 + 3 * (i - 20)));
    const labels = angles.map((_, i) => (i < 20 !== swapped.includes(i) ? 'low' : 'high'));
    const votes = labels.map((label) => [{ label, score: 1 }]);
    return suspicions({ embeddings: onCircle(angles), labelling: numberLabels(labels), votes });
  }

  it('falls on the labels that were swapped, and on nothing where none was', () => {
    expect(
      mislabelled(arcs([4, 27]))
        .map(({ row, suggested }) => [row, suggested])
        .sort(),
    ).toEqual([
      [27, 'high'],
      [4, 'low'],
    ]);
    expect(mislabelled(arcs([]))).toEqual([]);
  });

  it('falls on no label that only one example has', () => {
    const all = suspicions({
      embeddings: onCircle([0, 1, 2, 90, 91]),
      labelling: numberLabels(['a', 'a', 'only', 'b', 'b']),
      votes: Array.from({ length: 5 }, () => []),
    });
    expect(all[2]).toMatchObject({ score: -Infinity, wrong: 0 });
  });

  it('falls on few where the labels say nothing that the embeddings know', () => {
    const embeddings = asEmbeddings(randomUnitRows(300, 8).values, 8);
    const random = seededRandom(3);
    const labels = Array.from({ length: 300 }, () => 'abc'[Math.floor(3 * random())] ?? '');
    const all = suspicions({ embeddings, labelling: numberLabels(labels), votes: labels.map(() => []) });
    expect(mislabelled(all).length).toBeLessThan(6);
  });
});

it.each([10, 20, 30, 50])(
  'no label is called wrong where %i rows of 256 dimensions know nothing of them',
  (count) => {
    for (let seed = 1; seed <= 20; seed++) {
      const embeddings = randomUnitRows(count, 256, seed);
      const labels = Array.from({ length: count }, (_, row) => 'ab'[row % 2] ?? '');
      const all = suspicions({ embeddings, labelling: numberLabels(labels), votes: labels.map(() => []) });
      expect(mislabelled(all)).toEqual([]);
    }
  },
);

it('no label is called wrong where the nearest of each of few rows has the other label', () => {
  // Ten pairs of arrows that point to the left and to the right: all but one picture to the encoder.
  const base = randomUnitRows(10, 256, 7);
  const aside = randomUnitRows(20, 256, 8);
  const rows = Array.from({ length: 20 }, (_, row) =>
    Array.from({ length: 256 }, (_unused, j) => {
      const original = base.values[Math.floor(row / 2) * 256 + j] ?? NaN;
      return original + 0.2 * (aside.values[row * 256 + j] ?? NaN);
    }),
  );
  const labels = rows.map((_, row) => (row % 2 === 0 ? 'left' : 'right'));
  const all = suspicions({
    embeddings: unitRows(rows),
    labelling: numberLabels(labels),
    votes: labels.map(() => []),
  });
  expect(mislabelled(all)).toEqual([]);
});

describe('the likely mislabelled', () => {
  const suspicion = (row: number, score: number, wrong: number): Suspicion => ({
    ...{ row, score, wrong, suggested: 'b', ownShare: 0, suggestedShare: 1 },
  });
  const all = [suspicion(0, -2, 0.01), suspicion(1, 3, 0.6), suspicion(2, 0.5, 0.3), suspicion(3, 9, 0.99)];

  it('are those that are wrong with a probability of 0.4 and more, the most suspicious first', () => {
    expect(mislabelled(all).map(({ row }) => row)).toEqual([3, 1]);
  });

  it('are in the order of the probability that is shown', () => {
    const others = [suspicion(0, 2, 0.5), suspicion(1, 1, 0.9), suspicion(2, 3, 0.7)];
    expect(mislabelled(others).map(({ row }) => row)).toEqual([1, 2, 0]);
  });

  it('are ranked with all others, but for those that are alone with their label', () => {
    const alone = suspicion(4, -Infinity, 0);
    expect(mostSuspicious([...all, alone]).map(({ row }) => row)).toEqual([3, 1, 2, 0]);
  });
});
