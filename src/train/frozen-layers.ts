import { NearvoteError } from '../domain/errors.js';
import type { ConvolutionLayer, Layers } from './architectures/layers.js';
import { batchNormEpsilon } from './graph/batch-norm.js';
import type { Tape } from './graph/tape.js';

export interface FrozenLayersOptions {
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

export interface FrozenLayers extends Layers<Image, string> {
  image(name: string): Image;
  /** The projection head on features. */
  head(features: string): string;
}

/** An architecture's layers as the nodes of an encoder that no longer changes. */
export function frozenLayers({ tape, tensors, unfolded }: FrozenLayersOptions): FrozenLayers {
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
