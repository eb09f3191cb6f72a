import { encodeModel, model, tensorInfo, untypedInfo, type ValueInfoProto } from '../onnx/model.js';
import type { Architecture, ConvolutionLayer, Layers } from './architecture.js';
import { batchNorm, type BatchNorm } from './graph/batch-norm.js';
import { convolution } from './graph/convolution.js';
import type { ImageKernels } from './graph/kernels.js';
import { add, crop, dense, l2Normalise, normalisedPixels, relu, reshaped } from './graph/operations.js';
import { globalAveragePool, maxPool } from './graph/pooling.js';
import { supconLoss } from './graph/supcon-loss.js';
import { createTape, sizeOf, type Tape, type Value } from './graph/tape.js';
import {
  averaged,
  clipped,
  movedStatistics,
  optimizerSlots,
  updateNodes,
  type OptimizerOptions,
} from './optimizer.js';
import { lengthOf, sizeOfSpec, type ParameterLayout, type TensorSpec } from './parameters.js';

export interface TrainingGraphOptions {
  readonly architecture: Architecture;
  readonly layout: ParameterLayout;
  readonly kernels: ImageKernels;
  /** Images a step, counting every view: N images seen twice are 2N. */
  readonly views: number;
  readonly inputSize: { readonly height: number; readonly width: number };
  /** By channel, of pixels scaled to 0..1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly classes: number;
  readonly temperature: number;
  readonly optimizer: OptimizerOptions;
  /** The greatest length of the gradient of all parameters; left out, it is not clipped. */
  readonly clipNorm?: number | undefined;
  /** Whether averages of parameters and statistics are kept. */
  readonly ema: boolean;
  /** Gives `gradient` out as well, for tests. */
  readonly withGradient?: boolean | undefined;
}

/** The flat vectors that a step reads and writes, and their lengths; an output is called `next.` and the input's name. */
export function stateVectors(
  options: Pick<TrainingGraphOptions, 'layout' | 'optimizer' | 'ema'>,
): ReadonlyMap<string, number> {
  const parameters = lengthOf(options.layout.parameters);
  const statistics = lengthOf(options.layout.statistics);
  const slots = optimizerSlots(options.optimizer).map((name) => [name, parameters] as const);
  return new Map([
    ['parameters', parameters],
    ...(statistics === 0 ? [] : [['statistics', statistics] as const]),
    ...slots,
    ...(options.ema ? ([['ema.parameters', parameters]] as const) : []),
    ...(options.ema && statistics > 0 ? ([['ema.statistics', statistics]] as const) : []),
  ]);
}

/** Inputs that are one number each. */
export const stepScalars = ['learningRate', 'emaDecay', 'correction1', 'correction2'] as const;

/**
 * One training step as one ONNX graph: forward, backward, update. Inputs: `pixels` uint8 `[views, h, w, 3]`, `labels`
 * float32 `[views, classes]`, the scalars and the state vectors. Outputs: `loss`, `gradientNorm` and the next vectors.
 */
export function trainingGraph(options: TrainingGraphOptions): Uint8Array {
  const { architecture, layout, kernels, views, inputSize, classes } = options;
  const tape = createTape();
  const parameters = splitParameters(tape, 'parameters', layout.parameters);
  const batches = new Map<string, BatchNorm>();

  const pixels = normalisedPixels(tape, { ...options, ...inputSize });
  const read = new Set<string>();
  const parameter = (name: string): Value => {
    read.add(name);
    return known(parameters, name);
  };
  const layers = trainingLayers({
    tape,
    kernels,
    parameter,
    dimension: architecture.dimension,
    onBatchNorm: (name, batch) => batches.set(name, batch),
  });
  const features = architecture.build(layers, pixels);
  const weights = (name: string) => ({
    weight: parameter(`${name}.weight`),
    bias: parameter(`${name}.bias`),
  });
  const hidden = relu(tape, dense(tape, features, weights('head.dense1')));
  const embeddings = l2Normalise(tape, dense(tape, hidden, weights('head.dense2')));
  const labels = { name: 'labels', shape: [views, classes] };
  const loss = supconLoss(tape, { embeddings, labels, temperature: options.temperature });

  const byParameter = tape.backward(loss);
  // In the order of the layers: the runtime walks back first to what was emitted last, the gradients of the last layer,
  // and so frees each layer's values on its way instead of keeping all of them until the first layer's gradient.
  const flat = new Map(
    [...read].map((name) => {
      const value = known(parameters, name);
      return [name, reshaped(tape, byParameter.get(value) ?? '', [sizeOf(value.shape)])] as const;
    }),
  );
  const gradient = tape.emit(
    'Concat',
    layout.parameters.map(({ name }) => flat.get(name) ?? ''),
    { attributes: { axis: 0 } },
  );
  const { height, width } = inputSize;
  return stepModel(tape, {
    ...options,
    name: `train-${architecture.name}`,
    inputs: [
      tensorInfo({ name: 'pixels', elementType: 'uint8', dims: [views, height, width, 3] }),
      tensorInfo({ name: 'labels', elementType: 'float32', dims: [views, classes] }),
    ],
    loss,
    gradient,
    batches,
  });
}

export interface StepModelOptions extends Pick<
  TrainingGraphOptions,
  'layout' | 'optimizer' | 'clipNorm' | 'ema' | 'withGradient'
> {
  readonly name: string;
  /** All but the scalars and the state vectors. */
  readonly inputs: readonly ValueInfoProto[];
  readonly loss: Value;
  /** The name of the flat gradient by all parameters. */
  readonly gradient: string;
  /** By the names of the layers whose statistics run along. */
  readonly batches: ReadonlyMap<string, BatchNorm>;
}

/** The end of every training step's graph: the update of all state vectors, and what comes out. */
export function stepModel(tape: Tape, options: StepModelOptions): Uint8Array {
  const { layout, optimizer, loss, gradient, batches } = options;
  const vectors = stateVectors(options);
  const { norm, gradient: taken } = clipped(tape, gradient, options.clipNorm);

  const updated = updateNodes(tape, {
    optimizer,
    parameters: 'parameters',
    gradient: taken,
    slots: Object.fromEntries(optimizerSlots(optimizer).map((name) => [name, name])),
    learningRate: 'learningRate',
    corrections: ['correction1', 'correction2'],
    length: lengthOf(layout.parameters),
    decayed: layout.decayed,
  });
  const next = new Map<string, string>([
    ['parameters', updated.parameters],
    ...Object.entries(updated.slots),
  ]);
  if (vectors.has('statistics')) next.set('statistics', movedStatistics(tape, layout.statistics, batches));
  for (const name of ['parameters', 'statistics']) {
    const value = next.get(name);
    if (vectors.has(`ema.${name}`) && value !== undefined) {
      next.set(`ema.${name}`, averaged(tape, { average: `ema.${name}`, value, decay: 'emaDecay' }));
    }
  }

  const outputs = new Map([
    ['loss', loss.name],
    ['gradientNorm', norm],
    ...(options.withGradient === true ? [['gradient', gradient] as const] : []),
    ...[...next].map(([name, value]) => [`next.${name}`, value] as const),
  ]);
  for (const [name, value] of outputs) tape.rename(value, name);
  return encodeModel(
    model({
      name: options.name,
      inputs: [
        ...options.inputs,
        ...stepScalars.map((name) => tensorInfo({ name, elementType: 'float32', dims: [] })),
        ...[...vectors].map(([name, length]) => tensorInfo({ name, elementType: 'float32', dims: [length] })),
      ],
      outputs: [...outputs.keys()].map(untypedInfo),
      nodes: tape.nodes,
      initializers: tape.constants,
      domains: [...tape.domains],
    }),
  );
}

/** The tensors of a flat vector, by their names. */
export function splitParameters(
  tape: Tape,
  vector: string,
  specs: readonly TensorSpec[],
): ReadonlyMap<string, Value> {
  const parts = tape.emitMany('Split', [vector, tape.ints(specs.map(sizeOfSpec))], specs.length);
  return new Map(
    specs.map(({ name, shape }, i) => [name, tape.parameter(reshaped(tape, parts[i] ?? '', shape), shape)]),
  );
}

export function known(parameters: ReadonlyMap<string, Value>, name: string): Value {
  const value = parameters.get(name);
  if (value === undefined) throw new RangeError(`Expected a declared parameter but received ${name}`);
  return value;
}

interface TrainingLayersOptions {
  readonly tape: Tape;
  readonly kernels: ImageKernels;
  readonly parameter: (name: string) => Value;
  /** Features of an image, without the zeros that round channels up. */
  readonly dimension: number;
  /** Told of each batch norm's statistics as it is built. */
  readonly onBatchNorm: (name: string, batch: BatchNorm) => void;
}

/** An architecture's layers as operations on the tape. */
function trainingLayers(options: TrainingLayersOptions): Layers<Value, Value> {
  const { tape, kernels, parameter, dimension, onBatchNorm } = options;
  return {
    convolution: (x, { name, stride, padding, bias = false }: ConvolutionLayer) =>
      convolution(tape, x, {
        kernels,
        weight: parameter(`${name}.weight`),
        ...(bias ? { bias: parameter(`${name}.bias`) } : {}),
        ...(stride === undefined ? {} : { stride }),
        ...(padding === undefined ? {} : { padding }),
      }),
    batchNorm: (x, name) => {
      const [gamma, beta] = [parameter(`${name}.weight`), parameter(`${name}.bias`)];
      const batch = batchNorm(tape, x, { kernels, gamma, beta });
      onBatchNorm(name, batch);
      return batch.output;
    },
    relu: (x) => relu(tape, x),
    maxPool: (x) => maxPool(tape, kernels, x),
    add: (a, b) => add(tape, a, b),
    globalAveragePool: (x) => {
      const means = globalAveragePool(tape, kernels, x);
      return crop(tape, means, [x.shape[0] ?? 1, dimension]);
    },
  };
}
