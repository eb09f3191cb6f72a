import { openSession, Tensor } from '../../src/onnx/session.js';
import { architectureOf } from '../../src/train/architecture.js';
import { initialStatistics, parameterLayout } from '../../src/train/parameters.js';
import { plainKernels } from '../../src/train/graph/kernels.js';
import type { TrainingStepOptions } from '../../src/train/step.js';
import { stateVectors, stepScalars, trainingGraph } from '../../src/train/training-graph.js';

export interface WholeGradientOptions {
  readonly options: TrainingStepOptions;
  readonly parameters: Float32Array;
  readonly pixels: Uint8Array;
  readonly labels: Float32Array;
}

/** The gradient of the loss by all parameters, flat, out of the training graph itself. */
export async function gradientOf({
  options,
  parameters,
  pixels,
  labels,
}: WholeGradientOptions): Promise<Float32Array> {
  const architecture = architectureOf(options.architecture);
  const layout = parameterLayout(architecture);
  const graph = {
    ...options,
    architecture,
    layout,
    kernels: options.kernels ?? plainKernels,
    ema: false,
    withGradient: true,
  };
  const session = await openSession({ model: trainingGraph(graph), threads: options.threads });
  const { height, width } = options.inputSize;
  const feeds: Record<string, Tensor> = {
    pixels: new Tensor('uint8', pixels, [options.views, height, width, 3]),
    labels: new Tensor('float32', labels, [options.views, options.classes]),
  };
  for (const name of stepScalars) feeds[name] = new Tensor('float32', Float32Array.of(0.5), []);
  for (const [name, length] of stateVectors(graph)) {
    const data =
      name === 'parameters'
        ? parameters
        : name === 'statistics'
          ? initialStatistics(layout)
          : new Float32Array(length);
    feeds[name] = new Tensor('float32', data, [length]);
  }
  const { gradient } = await session.run(feeds, ['gradient']);
  await session.release();
  if (!(gradient?.data instanceof Float32Array)) throw new Error('the graph gave no gradient');
  return gradient.data;
}

/** The length of the difference over the length of what was expected. */
export function relativeError(received: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (received.length !== expected.length) return Infinity;
  let [difference, length] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const wanted = expected[i] ?? NaN;
    difference += ((received[i] ?? NaN) - wanted) ** 2;
    length += wanted ** 2;
  }
  return Math.sqrt(difference / length);
}
