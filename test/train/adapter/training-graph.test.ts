import { describe, expect, it } from 'vitest';
import { openSession, Tensor } from '../../../src/onnx/session.js';
import { adapterLayout, type AdapterShape } from '../../../src/train/adapter/adapter.js';
import { adapterGraph } from '../../../src/train/adapter/step.js';
import { stateVectors, stepScalars } from '../../../src/train/training-graph.js';
import { naiveEmbedding, naiveLoss, numbers, parametersOf, unitRows } from './naive-adapter.js';

const temperature = 0.3;
const labels = [0, 1, 0, 2, 1, 0];
const classes = 3;

/** Loss and gradient out of the graph, at these weights. */
async function graphed(shape: AdapterShape, centre: Float32Array, rows: Float32Array, weights: Float32Array) {
  const options = {
    shape,
    layout: adapterLayout(shape),
    centre,
    views: labels.length,
    classes,
    temperature,
    optimizer: { name: 'sgd', momentum: 0.9, nesterov: true, weightDecay: 0 } as const,
    ema: false,
    withGradient: true,
  };
  const session = await openSession({ model: adapterGraph(options), threads: 1 });
  const oneHot = Float32Array.from({ length: labels.length * classes }, (_, i) =>
    labels[Math.floor(i / classes)] === i % classes ? 1 : 0,
  );
  const feeds: Record<string, Tensor> = {
    features: new Tensor('float32', rows, [labels.length, shape.features]),
    labels: new Tensor('float32', oneHot, [labels.length, classes]),
  };
  for (const name of stepScalars) feeds[name] = new Tensor('float32', Float32Array.of(0.5), []);
  for (const [name, length] of stateVectors(options)) {
    feeds[name] = new Tensor('float32', name === 'parameters' ? weights : new Float32Array(length), [length]);
  }
  const { loss, gradient } = await session.run(feeds, ['loss', 'gradient']);
  await session.release();
  return { loss: (loss?.data as Float32Array)[0] ?? NaN, gradient: gradient?.data as Float32Array };
}

describe('a training step of an adapter', () => {
  it.each([
    { kind: 'linear', features: 4, dimension: 4, hidden: 0 },
    { kind: 'linear', features: 4, dimension: 2, hidden: 0 },
    { kind: 'mlp', features: 3, dimension: 3, hidden: 5 },
  ] as const)(
    'has the loss of a double loop and the gradient of finite differences: $kind, $features to $dimension',
    async (shape) => {
      const centre = numbers(shape.features, 5).map((value) => value / 10);
      const rows = unitRows(labels.length, shape.features, 6);
      const weights = numbers(parametersOf(shape), 7);
      const lossAt = (at: ArrayLike<number>): number =>
        naiveLoss(
          labels.map((_, row) =>
            naiveEmbedding({ shape, centre, weights: at }, [
              ...rows.subarray(row * shape.features, (row + 1) * shape.features),
            ]),
          ),
          labels,
          temperature,
        );
      const { loss, gradient } = await graphed(shape, centre, rows, weights);
      expect(loss).toBeCloseTo(lossAt(weights), 5);

      const step = 1e-5;
      const expected = Array.from(weights, (_, i) => {
        const moved = (by: number): Float64Array => {
          const all = Float64Array.from(weights);
          all[i] = (all[i] ?? NaN) + by;
          return all;
        };
        return (lossAt(moved(step)) - lossAt(moved(-step))) / (2 * step);
      });
      expect(gradient).toHaveLength(expected.length);
      const error = Math.hypot(...expected.map((value, i) => value - (gradient[i] ?? NaN)));
      expect(error / Math.hypot(...expected)).toBeLessThan(1e-4);
    },
  );
});
