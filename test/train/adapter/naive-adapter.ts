import { adapterLayout, type AdapterShape } from '../../../src/train/adapter/adapter.js';
import { sizeOfSpec } from '../../../src/train/parameters.js';

/** Numbers from -1 to 1 without a pattern that matters. */
export function numbers(count: number, salt: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => Math.sin(12.9898 * (i + 1) + 78.233 * salt));
}

export const parametersOf = (shape: AdapterShape): number =>
  adapterLayout(shape).parameters.reduce((sum, spec) => sum + sizeOfSpec(spec), 0);

/** Rows of unit length. */
export function unitRows(count: number, dimension: number, salt: number): Float32Array {
  const values = numbers(count * dimension, salt);
  for (let row = 0; row < count; row++) {
    const own = values.subarray(row * dimension, (row + 1) * dimension);
    const length = Math.hypot(...own);
    own.forEach((value, i) => (own[i] = value / length));
  }
  return values;
}

export interface NaiveAdapter {
  readonly shape: AdapterShape;
  readonly centre: Float32Array;
  readonly weights: ArrayLike<number>;
}

/** The adapter with plain loops in double precision: one row in, its unit embedding out. */
export function naiveEmbedding({ shape, centre, weights }: NaiveAdapter, row: readonly number[]): number[] {
  const tensors = new Map<string, number[]>();
  let offset = 0;
  for (const spec of adapterLayout(shape).parameters) {
    const size = sizeOfSpec(spec);
    tensors.set(
      spec.name,
      Array.from({ length: size }, (_, i) => weights[offset + i] ?? NaN),
    );
    offset += size;
  }
  const dense = (name: string, x: readonly number[]): number[] =>
    (tensors.get(`${name}.bias`) ?? []).map((bias, out) => {
      let sum = bias;
      for (const [i, value] of x.entries())
        sum += value * (tensors.get(`${name}.weight`)?.[out * x.length + i] ?? NaN);
      return sum;
    });
  const x = row.map((value, i) => (value - (centre[i] ?? NaN)) * Math.sqrt(row.length));
  let y = dense('linear', x);
  if (shape.kind === 'mlp') {
    const hidden = dense('hidden', x).map((value) => Math.max(0, value));
    const more = dense('out', hidden);
    y = y.map((value, i) => value + (more[i] ?? NaN));
  }
  const length = Math.hypot(...y);
  return y.map((value) => value / length);
}

/** L_out of Khosla et al. 2020, eq. 2, as a double loop over anchors and their positives. */
export function naiveLoss(
  embeddings: readonly number[][],
  labels: readonly number[],
  temperature: number,
): number {
  const similarity = (i: number, j: number): number =>
    (embeddings[i] ?? []).reduce((sum, value, at) => sum + value * (embeddings[j]?.[at] ?? NaN), 0) /
    temperature;
  const others = (i: number): number[] => [...labels.keys()].filter((j) => j !== i);
  let sum = 0;
  for (const i of labels.keys()) {
    const positives = others(i).filter((j) => labels[j] === labels[i]);
    const partition = Math.log(others(i).reduce((all, j) => all + Math.exp(similarity(i, j)), 0));
    for (const j of positives) sum -= (similarity(i, j) - partition) / positives.length;
  }
  return sum / labels.length;
}
