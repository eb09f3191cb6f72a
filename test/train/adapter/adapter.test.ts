import { describe, expect, it } from 'vitest';
import { asEmbeddings } from '../../../src/domain/embeddings.js';
import {
  adapterLayout,
  initialAdapter,
  runAdapter,
  type AdapterShape,
} from '../../../src/train/adapter/adapter.js';
import { naiveEmbedding, numbers, parametersOf, unitRows } from './naive-adapter.js';

const threads = { threads: 1 };

function rowsOf(values: Float32Array, dimension: number): number[][] {
  return Array.from({ length: values.length / dimension }, (_, row) => [
    ...values.subarray(row * dimension, (row + 1) * dimension),
  ]);
}

describe('an adapter', () => {
  it('turns the plane by a quarter where its weights say so', async () => {
    const shape: AdapterShape = { kind: 'linear', features: 2, dimension: 2, hidden: 0 };
    const adapter = { shape, centre: Float32Array.of(0, 0), weights: Float32Array.of(0, -1, 1, 0, 0, 0) };
    const { values } = await runAdapter(adapter, asEmbeddings(Float32Array.of(1, 0, 0.6, 0.8), 2), threads);
    // (x, y) to (-y, x)
    [0, 1, -0.8, 0.6].forEach((value, i) => expect(values[i]).toBeCloseTo(value, 6));
  });

  it('measures from the centre', async () => {
    const shape: AdapterShape = { kind: 'linear', features: 2, dimension: 2, hidden: 0 };
    const adapter = { shape, centre: Float32Array.of(0.6, 0.3), weights: Float32Array.of(1, 0, 0, 1, 0, 0) };
    const { values } = await runAdapter(adapter, asEmbeddings(Float32Array.of(0.6, 0.8), 2), threads);
    // Straight up from the centre.
    expect(values[0]).toBeCloseTo(0, 6);
    expect(values[1]).toBeCloseTo(1, 6);
  });

  it.each([
    { kind: 'linear', features: 5, dimension: 3, hidden: 0 },
    { kind: 'mlp', features: 5, dimension: 5, hidden: 7 },
    { kind: 'mlp', features: 6, dimension: 2, hidden: 4 },
  ] as const)('is what plain loops make of $kind, $features to $dimension', async (shape) => {
    const adapter = {
      shape,
      centre: numbers(shape.features, 3).map((value) => value / 10),
      weights: numbers(parametersOf(shape), 1),
    };
    const rows = unitRows(4, shape.features, 2);
    const { values, count, dimension } = await runAdapter(
      adapter,
      asEmbeddings(rows, shape.features),
      threads,
    );
    expect([count, dimension]).toEqual([4, shape.dimension]);
    const expected = rowsOf(rows, shape.features).flatMap((row) => naiveEmbedding(adapter, row));
    expected.forEach((value, i) => expect(values[i]).toBeCloseTo(value, 5));
  });
});

describe('the first weights', () => {
  const cosines = (rows: readonly number[][]): number[] =>
    rows.flatMap((a) => rows.map((b) => a.reduce((sum, value, i) => sum + value * (b[i] ?? NaN), 0)));

  it.each(['linear', 'mlp'] as const)(
    'of a %s adapter leave every cosine around the centre as it was',
    async (kind) => {
      const shape: AdapterShape = { kind, features: 6, dimension: 6, hidden: 5 };
      const centre = new Float32Array(6);
      const rows = unitRows(5, 6, 4);
      const adapter = { shape, centre, weights: initialAdapter(shape, 9) };
      const { values } = await runAdapter(adapter, asEmbeddings(rows, 6), threads);
      const expected = cosines(rowsOf(rows, 6));
      cosines(rowsOf(values, 6)).forEach((value, i) => expect(value).toBeCloseTo(expected[i] ?? NaN, 5));
    },
  );

  it('to fewer dimensions are directions of unit length at right angles, others for another seed', () => {
    const shape: AdapterShape = { kind: 'linear', features: 6, dimension: 3, hidden: 0 };
    const rows = (seed: number): number[][] => rowsOf(initialAdapter(shape, seed).subarray(0, 18), 6);
    cosines(rows(1)).forEach((value, i) => expect(value).toBeCloseTo(i % 4 === 0 ? 1 : 0, 5));
    expect(rows(1)).toEqual(rows(1));
    expect(rows(2)).not.toEqual(rows(1));
  });

  it('have biases that weight decay leaves alone behind all weights', () => {
    const { parameters, decayed } = adapterLayout({ kind: 'mlp', features: 3, dimension: 2, hidden: 4 });
    // 2 x 3, 4 x 3 and 2 x 4 weights; 2 + 4 + 2 biases
    expect(decayed).toBe(26);
    expect(parameters.map(({ name }) => name)).toEqual([
      'linear.weight',
      'hidden.weight',
      'out.weight',
      'linear.bias',
      'hidden.bias',
      'out.bias',
    ]);
  });
});
