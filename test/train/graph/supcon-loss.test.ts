import { describe, expect, it } from 'vitest';
import { openSession, Tensor } from '../../../src/onnx/session.js';
import { encodeModel, model, tensorInfo, untypedInfo } from '../../../src/onnx/model.js';
import { l2Normalise } from '../../../src/train/graph/operations.js';
import { supconLoss } from '../../../src/train/graph/supcon-loss.js';
import { createTape } from '../../../src/train/graph/tape.js';
import { drawn, gradientError } from './run-tape.js';

const [views, dimension, temperature] = [7, 4, 0.3];

async function lossOf(embeddings: Float32Array, labels: Float32Array): Promise<number> {
  const tape = createTape();
  const classes = labels.length / views;
  const inputs = [
    { name: 'embeddings', shape: [views, dimension] },
    { name: 'labels', shape: [views, classes] },
  ] as const;
  const loss = supconLoss(tape, { embeddings: inputs[0], labels: inputs[1], temperature });
  tape.rename(loss.name, 'loss');
  const bytes = encodeModel(
    model({
      name: 'loss',
      inputs: inputs.map(({ name, shape }) => tensorInfo({ name, elementType: 'float32', dims: shape })),
      outputs: [untypedInfo('loss')],
      nodes: tape.nodes,
      initializers: tape.constants,
    }),
  );
  const session = await openSession({ model: bytes, threads: 1 });
  const out = await session.run({
    embeddings: new Tensor('float32', embeddings, inputs[0].shape),
    labels: new Tensor('float32', labels, inputs[1].shape),
  });
  await session.release();
  return (out['loss']?.data as Float32Array)[0] ?? NaN;
}

function unitRows(seed: number): Float32Array {
  const rows = drawn([views, dimension], seed);
  for (let row = 0; row < views; row++) {
    const own = rows.subarray(row * dimension, (row + 1) * dimension);
    const length = Math.hypot(...own);
    own.forEach((value, i) => (own[i] = value / length));
  }
  return rows;
}

const oneHot = (labels: readonly number[], classes: number): Float32Array =>
  Float32Array.from(
    labels.flatMap((label) => Array.from({ length: classes }, (_, i) => (i === label ? 1 : 0))),
  );

/** Equation 2 as it stands in the paper, in two loops. */
function byEquation2(z: Float32Array, labels: readonly number[]): number {
  const similarity = (i: number, j: number): number => {
    let sum = 0;
    for (let k = 0; k < dimension; k++) sum += (z[i * dimension + k] ?? 0) * (z[j * dimension + k] ?? 0);
    return sum / temperature;
  };
  let sum = 0;
  for (let i = 0; i < views; i++) {
    let denominator = 0;
    for (let a = 0; a < views; a++) if (a !== i) denominator += Math.exp(similarity(i, a));
    const positives = labels.flatMap((label, p) => (p !== i && label === labels[i] ? [p] : []));
    for (const p of positives) sum -= Math.log(Math.exp(similarity(i, p)) / denominator) / positives.length;
  }
  return sum / views;
}

describe('the SupCon loss', () => {
  it('is equation 2 of Khosla et al. for hard labels', async () => {
    const labels = [0, 1, 0, 2, 1, 0, 2];
    const z = unitRows(1);
    expect(await lossOf(z, oneHot(labels, 3))).toBeCloseTo(byEquation2(z, labels), 5);
  });

  it('counts a view without positives as 0 and still divides by all views', async () => {
    const labels = [0, 1, 0, 2, 1, 0, 3];
    const z = unitRows(2);
    expect(await lossOf(z, oneHot(labels, 4))).toBeCloseTo(byEquation2(z, labels), 5);
  });

  it('is 0 where nothing shares a label', async () => {
    expect(await lossOf(unitRows(3), oneHot([0, 1, 2, 3, 4, 5, 6], 7))).toBe(0);
  });

  it('is that of GenSCL for mixed labels: a view is as similar to another as the cosine of their label rows', async () => {
    // Views 0 and 1 are the one label, 2 and 3 the other; 4 and 5 are half of each, 6 is a quarter and three.
    const rows = [[1, 0], [1, 0], [0, 1], [0, 1], [0.5, 0.5], [0.5, 0.5], [0.25, 0.75]] as const; // prettier-ignore
    const z = unitRows(4);
    const similarity = (i: number, j: number): number =>
      [0, 1, 2, 3].reduce((sum, k) => sum + (z[i * 4 + k] ?? 0) * (z[j * 4 + k] ?? 0), 0) / temperature;
    // An angle each: a cosine of their difference is that of the rows.
    const angles = rows.map(([one, other]) => Math.atan2(other, one));
    let expected = 0;
    for (const [i, angle] of angles.entries()) {
      const others = [...angles.keys()].filter((j) => j !== i);
      const logDenominator = Math.log(others.reduce((sum, j) => sum + Math.exp(similarity(i, j)), 0));
      const share = (j: number): number => Math.cos(angle - (angles[j] ?? NaN));
      const all = others.reduce((sum, j) => sum + share(j), 0);
      for (const j of others) expected -= (share(j) / all) * (similarity(i, j) - logDenominator);
    }
    expect(await lossOf(z, Float32Array.from(rows.flat()))).toBeCloseTo(expected / views, 5);
  });

  it('has the gradient that central differences have', async () => {
    const error = await gradientError({
      build: (tape, x) => {
        const labels = { name: tape.floats(oneHot([0, 1, 0, 2, 1, 0, 3], 4), [views, 4]), shape: [views, 4] };
        return supconLoss(tape, { embeddings: l2Normalise(tape, x), labels, temperature });
      },
      shapes: [[views, dimension]],
    });
    expect(error).toBeLessThan(2e-3);
  });
});
