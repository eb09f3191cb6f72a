import { NearvoteError } from '../domain/errors.js';
import { Tensor } from '../onnx/session.js';
import { architectureOf, type ArchitectureOptions } from './architecture.js';
import { chooseKernels } from './graph/blocked-kernels.js';
import type { ImageKernels } from './graph/kernels.js';
import { expectLength, openStepSession, type Learner, type StepInput, type StepResult } from './learner.js';
import type { OptimizerOptions } from './optimizer.js';
import { initialParameters, initialStatistics, parameterLayout, type ParameterLayout } from './parameters.js';
import { stateVectors, trainingGraph, type TrainingGraphOptions } from './training-graph.js';

export interface TrainingStepOptions {
  readonly architecture: ArchitectureOptions;
  readonly inputSize: { readonly height: number; readonly width: number };
  /** By channel, of pixels scaled to 0..1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Images a step, every view counted: a batch of N images with two views each is 2N. */
  readonly views: number;
  readonly classes: number;
  readonly temperature: number;
  readonly optimizer: OptimizerOptions;
  readonly clipNorm?: number | undefined;
  /** The decay of the averages of parameters and running statistics; left out, none are kept. */
  readonly emaDecay?: number | undefined;
  readonly threads: number;
  readonly seed: number;
  /** The fastest of this machine unless told. */
  readonly kernels?: ImageKernels | undefined;
}

export interface TrainingStep extends Learner {
  readonly layout: ParameterLayout;
  /** @throws NearvoteError `usage` when pixels or labels are not as many as declared */
  step(input: StepInput): Promise<StepResult>;
  release(): Promise<void>;
}

/**
 * Opens the training of an encoder and its projection head: one ONNX graph on ONNX Runtime does the whole step. The same
 * options, seed and inputs give the same bits on one machine with as many threads.
 * @throws NearvoteError `usage` for images smaller than the architecture takes
 */
export async function createTrainingStep(options: TrainingStepOptions): Promise<TrainingStep> {
  const architecture = architectureOf(options.architecture);
  const { height, width } = options.inputSize;
  if (Math.min(height, width) < architecture.smallest) {
    throw new NearvoteError(
      'usage',
      `Expected images of at least ${architecture.smallest} pixels for ${architecture.name} but received ${width} x ${height}`,
    );
  }
  const layout = parameterLayout(architecture);
  const kernels = options.kernels ?? (await chooseKernels());
  const { emaDecay } = options;
  const graph: TrainingGraphOptions = {
    ...options,
    architecture,
    layout,
    kernels,
    ema: emaDecay !== undefined,
  };
  const session = await openStepSession({
    ...options,
    model: trainingGraph(graph),
    vectors: stateVectors(graph),
    first: { parameters: initialParameters(layout, options.seed), statistics: initialStatistics(layout) },
  });
  return {
    ...session,
    layout,
    step: async ({ pixels, labels, learningRate }) => {
      expectLength('pixels', pixels.length, options.views * height * width * 3);
      expectLength('labels', labels.length, options.views * options.classes);
      const inputs = {
        pixels: new Tensor('uint8', pixels, [options.views, height, width, 3]),
        labels: new Tensor('float32', labels, [options.views, options.classes]),
      };
      return session.step(inputs, learningRate);
    },
  };
}
