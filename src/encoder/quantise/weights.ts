import type { Constants } from '../../onnx/constants.js';
import { intAttribute } from '../../onnx/graph.js';
import { node, type NodeProto, type TensorProto } from '../../onnx/model.js';
import { initializer } from '../../onnx/tensor.js';
import type { WeightedNode } from './plan.js';

/**
 * Which processors compute it right. Those of x86 without VNNI add products of a byte and a weight up in pairs, in int16,
 * and what goes beyond is cut off (vpmaddubsw). For any of them, no two weights of one sign are together more than 128:
 * 128 * 255 is still an int16.
 */
export type Processors = 'any' | 'vnni';

export interface WeightsOptions {
  readonly constants: Constants;
  readonly processors: Processors;
  readonly inputScale: number;
  readonly correction: Float64Array | undefined;
}

interface WeightParts {
  readonly nodes: readonly NodeProto[];
  readonly constants: readonly TensorProto[];
  /** What stands behind the data. */
  readonly inputs: readonly string[];
}

/** Weights and bias as whole numbers, and the nodes that read them. */
export function weightParts(known: WeightedNode, options: WeightsOptions): WeightParts {
  const quantised = quantiseWeights(known, options);
  const at = `${known.output.source}/`;
  const [weights, scale, zero] = [`${at}weights`, `${at}weight-scale`, `${at}weight-zero-point`];
  const dims = [quantised.scales.length];
  const constants = [
    initializer({
      name: weights,
      elementType: 'int8',
      dims: quantised.dims,
      data: asBytes(quantised.weights),
    }),
    initializer({ name: scale, elementType: 'float32', dims, data: quantised.scales }),
    initializer({ name: zero, elementType: 'int8', dims, data: new Uint8Array(quantised.scales.length) }),
  ];
  const reading = {
    inputs: [weights, scale, zero],
    outputs: [`${weights}/read`],
    attributes: { axis: quantised.axis },
  };
  const nodes = [node('DequantizeLinear', reading)];
  if (quantised.bias === undefined) return { nodes, constants, inputs: reading.outputs };
  const [bias, biasScale] = [`${at}bias`, `${at}bias-scale`];
  constants.push(
    initializer({ name: bias, elementType: 'int32', dims, data: asBytes(quantised.bias) }),
    initializer({ name: biasScale, elementType: 'float32', dims, data: quantised.biasScales }),
  );
  const readBias = `${bias}/read`;
  nodes.push(
    node('DequantizeLinear', { inputs: [bias, biasScale], outputs: [readBias], attributes: { axis: 0 } }),
  );
  return { nodes, constants, inputs: [...reading.outputs, readBias] };
}

function asBytes({ buffer }: Int8Array | Int32Array): Uint8Array {
  return new Uint8Array(buffer);
}

interface QuantisedWeights {
  readonly weights: Int8Array;
  readonly dims: readonly number[];
  /** Of the output channels. */
  readonly axis: number;
  readonly scales: Float32Array;
  readonly bias: Int32Array | undefined;
  readonly biasScales: Float32Array;
}

const limit = 127;

/** The two largest numbers of each channel. */
function twoLargest(channels: number) {
  const first = new Float64Array(channels);
  const second = new Float64Array(channels);
  return {
    add: (channel: number, value: number): void => {
      const most = first[channel] ?? 0;
      second[channel] = Math.max(second[channel] ?? 0, Math.min(most, value));
      first[channel] = Math.max(most, value);
    },
    of: (channel: number): [number, number] => [first[channel] ?? 0, second[channel] ?? 0],
  };
}

/** Far enough from the ends of int32 for what is added to it. */
const mostBias = 2 ** 29;

function quantiseWeights({ node: one, kind }: WeightedNode, options: WeightsOptions): QuantisedWeights {
  const { constants, processors, inputScale, correction } = options;
  const dims = constants.dims(one.input[1]);
  const values = constants.floats(one.input[1]) ?? new Float32Array();
  const axis = kind === 'Conv' || (kind === 'Gemm' && intAttribute(one, 'transB') === 1) ? 0 : 1;
  const channels = dims[axis] ?? 0;
  const per = axis === 0 ? values.length / channels : 1;
  const channelOf = (i: number): number => (axis === 0 ? Math.floor(i / per) : i % channels);
  const given = constants.floats(one.input[2]);
  const wantsBias = kind !== 'MatMul' && (given !== undefined || correction !== undefined || kind === 'Conv');
  const bias = Float64Array.from({ length: channels }, (_, c) => (given?.[c] ?? 0) + (correction?.[c] ?? 0));

  const scales = new Float32Array(channels);
  const largest = { positive: twoLargest(channels), negative: twoLargest(channels) };
  for (const [i, value] of values.entries()) {
    const side = value > 0 ? largest.positive : largest.negative;
    side.add(channelOf(i), Math.abs(value));
  }
  for (let c = 0; c < channels; c++) {
    const sides = [largest.positive.of(c), largest.negative.of(c)];
    const most = Math.max(...sides.map(([first, second]) => (processors === 'any' ? first + second : first)));
    scales[c] = most / limit;
  }
  // A channel of zeros, or of next to nothing beside its bias, still has to hold the bias in int32.
  for (const [c, scale] of scales.entries()) {
    scales[c] = Math.max(scale, Math.abs(bias[c] ?? 0) / (inputScale * mostBias), 2 ** -60);
  }
  const weights = Int8Array.from(values, (value, i) => {
    const scaled = Math.round(value / (scales[channelOf(i)] ?? NaN));
    return Math.max(-limit, Math.min(limit, scaled));
  });
  // A float32 product: anything else and ONNX Runtime leaves the convolution in float without a word.
  const biasScales = scales.map((scale) => Math.fround(Math.fround(inputScale) * scale));
  return {
    ...{ weights, dims, axis, scales, biasScales },
    bias: wantsBias
      ? Int32Array.from(bias, (value, c) => Math.round(value / (biasScales[c] ?? NaN)))
      : undefined,
  };
}
