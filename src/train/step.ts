import { InferenceSession, Tensor } from 'onnxruntime-node';
import { NearvoteError } from '../domain/errors.js';
import { architectureOf, type ArchitectureOptions } from './architectures/architecture.js';
import { initialParameters, initialStatistics, parameterLayout } from './architectures/parameters.js';
import type { ParameterLayout } from './architectures/parameters.js';
import { chooseKernels } from './graph/choose-kernels.js';
import type { ImageKernels } from './graph/image-kernels.js';
import { sizeOf } from './graph/tape.js';
import type { OptimizerOptions } from './optimizer.js';
import { stateVectors, stepScalars, trainingGraph, type TrainingGraphOptions } from './training-graph.js';

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

interface StepInput {
  /** RGB `[views, height, width, 3]`. */
  readonly pixels: Uint8Array;
  /** Shares of the classes, `[views, classes]`: one-hot, mixed, or what a teacher says. */
  readonly labels: Float32Array;
  readonly learningRate: number;
}

interface StepResult {
  /** Before the update; NaN and infinity come out as they are. */
  readonly loss: number;
  /** The length of the gradient of all parameters, before clipping. */
  readonly gradientNorm: number;
}

/** Everything that the next step depends on: flat vectors by their names, and the steps done. */
export interface TrainingState {
  readonly steps: number;
  readonly vectors: Readonly<Record<string, Float32Array>>;
}

export interface TrainingStep {
  readonly layout: ParameterLayout;
  /** @throws NearvoteError `usage` when pixels or labels are not as many as declared */
  step(input: StepInput): Promise<StepResult>;
  /** A copy, for a checkpoint. */
  state(): TrainingState;
  /** Goes on from a copy of `state`, bit for bit. @throws NearvoteError `usage` when it is another training's */
  load(state: TrainingState): void;
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
  const lengths = stateVectors(graph);
  const session = await InferenceSession.create(trainingGraph(graph), {
    logSeverityLevel: 3,
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    // One plan for all buffers took 1.8 times the memory that the arena takes step by step, and no less time.
    enableMemPattern: false,
  });

  // Two sets of buffers: a step reads one and writes the other, since an update may run before the last reader.
  const buffers = (): Map<string, Tensor> =>
    new Map([...lengths].map(([name, length]) => [name, zeros([length])]));
  let [current, following] = [buffers(), buffers()];
  const results = new Map(['loss', 'gradientNorm'].map((name) => [name, zeros([])] as const));
  let steps = 0;
  const first: Record<string, Float32Array> = {
    parameters: initialParameters(layout, options.seed),
    statistics: initialStatistics(layout),
  };
  for (const [name, tensor] of current) {
    const start = first[name.replace('ema.', '')];
    if (start !== undefined) dataOf(tensor).set(start);
  }

  return {
    layout,
    step: async ({ pixels, labels, learningRate }) => {
      expectLength('pixels', pixels.length, options.views * height * width * 3);
      expectLength('labels', labels.length, options.views * options.classes);
      const scalars = scalarsOf(steps + 1, { ...options, learningRate });
      const feeds: Record<string, Tensor> = {
        pixels: new Tensor('uint8', pixels, [options.views, height, width, 3]),
        labels: new Tensor('float32', labels, [options.views, options.classes]),
        ...Object.fromEntries(current),
      };
      for (const name of stepScalars) feeds[name] = new Tensor('float32', Float32Array.of(scalars[name]), []);
      const fetches = new Map(results);
      for (const [name, tensor] of following) fetches.set(`next.${name}`, tensor);
      await session.run(feeds, Object.fromEntries(fetches));
      [current, following] = [following, current];
      steps++;
      const [loss = NaN, gradientNorm = NaN] = [...results.values()].map((tensor) => dataOf(tensor)[0]);
      return { loss, gradientNorm };
    },
    state: () => ({
      steps,
      vectors: Object.fromEntries([...current].map(([name, tensor]) => [name, dataOf(tensor).slice()])),
    }),
    load: (state) => {
      const names = [...lengths.keys()];
      if (Object.keys(state.vectors).toSorted().join() !== names.toSorted().join()) {
        const received = Object.keys(state.vectors).join(', ');
        throw new NearvoteError('usage', `Expected a state of ${names.join(', ')} but received ${received}`);
      }
      for (const [name, length] of lengths) expectLength(name, state.vectors[name]?.length ?? 0, length);
      for (const [name, tensor] of current) dataOf(tensor).set(state.vectors[name] ?? []);
      steps = state.steps;
    },
    release: () => session.release(),
  };
}

type Scalars = Readonly<Record<(typeof stepScalars)[number], number>>;

/** `t` is 1 in the first step. */
function scalarsOf(
  t: number,
  {
    emaDecay = 0,
    optimizer,
    learningRate,
  }: Pick<TrainingStepOptions, 'emaDecay' | 'optimizer'> & { learningRate: number },
): Scalars {
  const betas = optimizer.name === 'adamw' ? optimizer : { beta1: 0, beta2: 0 };
  return {
    learningRate,
    // An average that starts as the first weights forgets them sooner this way.
    emaDecay: Math.min(emaDecay, (1 + t) / (10 + t)),
    correction1: 1 - betas.beta1 ** t,
    correction2: 1 - betas.beta2 ** t,
  };
}

function zeros(dims: readonly number[]): Tensor {
  return new Tensor('float32', new Float32Array(sizeOf(dims)), dims);
}

function dataOf(tensor: Tensor): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  throw new NearvoteError('internal', `Expected float32 but received ${tensor.type}`);
}

function expectLength(what: string, received: number, expected: number): void {
  if (received === expected) return;
  throw new NearvoteError('usage', `Expected ${expected} numbers of ${what} but received ${received}`);
}
