import { NearvoteError } from '../domain/errors.js';
import { encodeModel, model, tensorInfo } from '../onnx/model.js';
import {
  architectureOf,
  type ArchitectureOptions,
  type ConvolutionLayer,
  type Layers,
} from './architecture.js';
import { batchNormEpsilon } from './graph/batch-norm.js';
import { normalisedPixels } from './graph/operations.js';
import { createTape, type Tape } from './graph/tape.js';
import type { TrainingState } from './learner.js';
import { parameterLayout, projectionDimension, sizeOfSpec, type TensorSpec } from './parameters.js';

export interface FreezeOptions {
  readonly architecture: ArchitectureOptions;
  readonly inputSize: { readonly height: number; readonly width: number };
  /** By channel, of pixels scaled to 0..1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly state: TrainingState;
  /** The averaged weights with the averaged running statistics, or those of the last step. */
  readonly weights: 'ema' | 'last';
  /** With the projection head, to see what it does to accuracy; what is served is without. */
  readonly head?: boolean | undefined;
  /** Leaves batch norms as nodes of their own, for tests. */
  readonly unfolded?: boolean | undefined;
}

/** What is written, and the length of its embeddings. */
export interface FrozenEncoder {
  readonly bytes: Uint8Array;
  readonly dimension: number;
}

/**
 * The encoder as it is served: uint8 `pixels [n, h, w, 3]` in, unit float32 `embeddings [n, dimension]` out,
 * normalisation inside, opset 17, IR 8. Batch norm, with its running statistics, is folded into the convolution before it.
 */
export function freeze(options: FreezeOptions): FrozenEncoder {
  const { inputSize, state, weights, head = false } = options;
  const architecture = architectureOf(options.architecture);
  const layout = parameterLayout(architecture);
  const from = (vector: string): Float32Array =>
    (weights === 'ema' ? state.vectors[`ema.${vector}`] : undefined) ??
    state.vectors[vector] ??
    new Float32Array();
  const tensors = new Map([
    ...named(layout.parameters, from('parameters')),
    ...named(layout.statistics, from('statistics')),
  ]);

  const tape = createTape();
  const layers = frozenLayers({ tape, tensors, unfolded: options.unfolded ?? false });
  const pixels = normalisedPixels(tape, { ...options, ...inputSize, views: 1 });
  let features = architecture.build(layers, layers.image(pixels.name));
  if (head) features = layers.head(features);
  // LpNormalization leaves a row of zeros as it is; dividing by its length would make it NaN.
  const unit = tape.emit('LpNormalization', [features], { attributes: { axis: 1, p: 2 } });
  tape.rename(unit, 'embeddings');
  const dimension = head ? projectionDimension : architecture.dimension;
  const { height, width } = inputSize;
  const bytes = encodeModel(
    model({
      name: architecture.name,
      inputs: [tensorInfo({ name: 'pixels', elementType: 'uint8', dims: ['n', height, width, 3] })],
      outputs: [tensorInfo({ name: 'embeddings', elementType: 'float32', dims: ['n', dimension] })],
      nodes: tape.nodes,
      initializers: tape.constants,
    }),
  );
  return { bytes, dimension };
}

function named(specs: readonly TensorSpec[], vector: Float32Array): [string, Float32Array][] {
  let offset = 0;
  return specs.map((spec) => {
    const start = offset;
    offset += sizeOfSpec(spec);
    return [spec.name, vector.subarray(start, offset)];
  });
}

interface FrozenLayersOptions {
  readonly tape: Tape;
  /** Parameters and running statistics by their names. */
  readonly tensors: ReadonlyMap<string, Float32Array>;
  readonly unfolded: boolean;
}

/** A convolution that waits for a batch norm to take in, or an image that is there. */
type Image =
  | { readonly name: string }
  | {
      readonly layer: ConvolutionLayer;
      readonly from: string;
      readonly weight: Float32Array;
      readonly bias: Float32Array;
    };

interface FrozenLayers extends Layers<Image, string> {
  image(name: string): Image;
  /** The projection head on features. */
  head(features: string): string;
}

/** An architecture's layers as the nodes of an encoder that no longer changes. */
function frozenLayers({ tape, tensors, unfolded }: FrozenLayersOptions): FrozenLayers {
  function tensor(name: string): Float32Array {
    const values = tensors.get(name);
    if (values !== undefined && values.length > 0) return values;
    throw new NearvoteError('usage', `Expected ${name} in the state of the training but it is not there`);
  }

  function made(image: Image): string {
    if ('name' in image) return image.name;
    const { layer, from, weight, bias } = image;
    const { into, out, size, stride = 1, padding = 0 } = layer;
    const inputs = [from, tape.floats(weight, [out, into, size, size]), tape.floats(bias, [out])];
    const pads = [padding, padding, padding, padding];
    return tape.emit('Conv', inputs, {
      attributes: { kernel_shape: [size, size], strides: [stride, stride], pads },
    });
  }

  const unary =
    (type: string, attributes = {}) =>
    (x: Image): Image => ({ name: tape.emit(type, [made(x)], { attributes }) });

  function dense(x: string, name: string): string {
    const bias = tensor(`${name}.bias`);
    const weight = tensor(`${name}.weight`);
    const inputs = [
      x,
      tape.floats(weight, [bias.length, weight.length / bias.length]),
      tape.floats(bias, [bias.length]),
    ];
    return tape.emit('Gemm', inputs, { attributes: { transB: 1 } });
  }

  return {
    image: (name) => ({ name }),
    convolution: (x, layer) => ({
      layer,
      from: made(x),
      weight: tensor(`${layer.name}.weight`),
      bias: layer.bias === true ? tensor(`${layer.name}.bias`) : new Float32Array(layer.out),
    }),
    batchNorm: (x, name) => {
      const [gamma, beta] = [tensor(`${name}.weight`), tensor(`${name}.bias`)];
      const [mean, variance] = [tensor(`${name}.mean`), tensor(`${name}.variance`)];
      if ('name' in x || unfolded) {
        const constants = [gamma, beta, mean, variance].map((values) => tape.floats(values, [values.length]));
        const attributes = { epsilon: { float: batchNormEpsilon } };
        return { name: tape.emit('BatchNormalization', [made(x), ...constants], { attributes }) };
      }
      const factor = gamma.map((value, i) => value / Math.sqrt((variance[i] ?? 0) + batchNormEpsilon));
      const each = x.weight.length / factor.length;
      return {
        ...x,
        weight: x.weight.map((value, i) => value * (factor[Math.floor(i / each)] ?? 0)),
        bias: x.bias.map((value, i) => (value - (mean[i] ?? 0)) * (factor[i] ?? 0) + (beta[i] ?? 0)),
      };
    },
    relu: unary('Relu'),
    maxPool: unary('MaxPool', { kernel_shape: [2, 2], strides: [2, 2] }),
    add: (a, b) => ({ name: tape.emit('Add', [made(a), made(b)]) }),
    globalAveragePool: (x) =>
      tape.emit('Flatten', [tape.emit('GlobalAveragePool', [made(x)])], { attributes: { axis: 1 } }),
    head: (features) => dense(tape.emit('Relu', [dense(features, 'head.dense1')]), 'head.dense2'),
  };
}
