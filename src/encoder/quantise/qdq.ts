import { constantsOf, type Constants } from '../../onnx/constants.js';
import { intAttribute, keepOnlyNeeded } from '../../onnx/graph.js';
import {
  decodeModel,
  encodeModel,
  node,
  type GraphModel,
  type NodeProto,
  type TensorProto,
} from '../../onnx/model.js';
import { initializer } from '../../onnx/tensor.js';
import type { Range } from './histogram.js';
import type { Plan, QuantisedValue, WeightedNode } from './plan.js';

/**
 * Which processors compute it right. Those of x86 without VNNI add products of a byte and a weight up in pairs, in int16,
 * and what goes beyond is cut off (vpmaddubsw). For any of them, no two weights of one sign are together more than 128:
 * 128 * 255 is still an int16.
 */
export type Processors = 'any' | 'vnni';

export interface QuantiseModelOptions {
  /** As `simplifyModel` leaves it; it is not changed. */
  readonly model: GraphModel;
  readonly plan: Plan;
  /** Of every value of the plan. */
  readonly ranges: ReadonlyMap<string, Range>;
  readonly processors: Processors;
  /** Added to the bias of each output channel, by the node's name. */
  readonly corrections?: ReadonlyMap<string, Float64Array> | undefined;
}

/** What a byte stands for: `scale * (byte - zeroPoint)`. */
interface Scale {
  readonly scale: number;
  readonly zeroPoint: number;
  /** Names of the constants. */
  readonly names: readonly [string, string];
}

/** Where a value is as bytes. */
interface Bytes {
  readonly name: string;
  readonly scale: Scale;
}

/**
 * Writes a model that quantises and dequantises around everything in the plan, in the form that ONNX Runtime fuses into
 * integer operators: uint8 values, the zero-point 0 in the place of a ReLU; int8 weights, a scale for each output
 * channel, the zero-point 0; int32 bias whose scale is exactly the product of both.
 */
export function quantiseModel(options: QuantiseModelOptions): GraphModel {
  const { plan, ranges, processors, corrections } = options;
  const model = decodeModel(encodeModel(options.model));
  const { graph } = model;
  const constants = constantsOf(graph);
  // The plan names nodes of the model that it was made from.
  const original = new Map(options.model.graph.node.map((one, i) => [graph.node[i], one] as const));
  const weighted = new Map(plan.weighted.map((one) => [one.node, one]));
  const nodes: NodeProto[] = [];
  const added: TensorProto[] = [];
  const bytes = new Map<string, Bytes>();
  const floats = new Set([...graph.input.map(({ name }) => name)]);
  let count = 0;

  const constant = (
    name: string,
    elementType: 'float32' | 'uint8' | 'int8' | 'int32',
    values: Values,
  ): string => {
    added.push(initializer({ name, elementType, dims: values.dims, data: values.data }));
    return name;
  };
  const scaleOf = (name: string): Scale => {
    const scale = scaleFor(ranges.get(name) ?? { least: 0, most: 0 });
    return {
      ...scale,
      names: [
        constant(`${name}/scale`, 'float32', { dims: [], data: [scale.scale] }),
        constant(`${name}/zero-point`, 'uint8', { dims: [], data: Uint8Array.of(scale.zeroPoint) }),
      ],
    };
  };
  const toBytes = (name: string, from: string): void => {
    const scale = scaleOf(name);
    const quantised = `${name}/bytes`;
    nodes.push(node('QuantizeLinear', { inputs: [from, ...scale.names], outputs: [quantised] }));
    bytes.set(name, { name: quantised, scale });
  };
  const bytesOf = (name: string): Bytes => {
    if (!bytes.has(name)) toBytes(name, name);
    const found = bytes.get(name);
    if (found === undefined) throw new RangeError(`Expected ${name} as bytes`);
    return found;
  };
  /** A node of its own for each reader: what is fused belongs to one. */
  const fromBytes = ({ name, scale }: Bytes, output = `${name}/read${count++}`): string => {
    nodes.push(node('DequantizeLinear', { inputs: [name, ...scale.names], outputs: [output] }));
    return output;
  };
  const asFloat = (name: string): string => {
    const found = bytes.get(name);
    if (found === undefined || floats.has(name)) return name;
    floats.add(name);
    return fromBytes(found, name);
  };

  /**
   * A value as float, for a node with float weights. Where such a node stands between DequantizeLinear and
   * QuantizeLinear, ONNX Runtime makes its weights int8 by itself, one scale for all channels (WeightBiasQuantization): a
   * product by 2 of half the values, which is exact, stands in its way.
   */
  const doubled = (name: string): string => {
    const { name: quantised, scale } = bytesOf(name);
    const [half, two, output] = [
      `${name}/half-scale${count}`,
      `${name}/two${count}`,
      `${name}/doubled${count++}`,
    ];
    constant(half, 'float32', { dims: [], data: [scale.scale / 2] });
    constant(two, 'float32', { dims: [], data: [2] });
    const read = fromBytes({ name: quantised, scale: { ...scale, names: [half, scale.names[1]] } });
    nodes.push(node('Mul', { inputs: [read, two], outputs: [output] }));
    return output;
  };

  function addWeighted(one: NodeProto, known: WeightedNode): void {
    const { output, floatOutput, node: planned } = known;
    const input = bytesOf(one.input[0] ?? '');
    const inputScale = input.scale.scale;
    const correction = corrections?.get(planned.name);
    const parts = weightParts(known, { constants, processors, inputScale, correction });
    nodes.push(...parts.nodes);
    added.push(...parts.constants);
    one.input = [fromBytes(input), ...parts.inputs];
    emit(one, floatOutput ? undefined : output);
  }

  /** Adds a node, and makes its output bytes where it is to be. */
  function emit(one: NodeProto, output: QuantisedValue | undefined): void {
    nodes.push(one);
    if (output === undefined) {
      for (const name of one.output) floats.add(name);
      return;
    }
    const float = `${output.name}/float`;
    one.output = [float];
    toBytes(output.name, float);
  }

  for (const one of graph.node) {
    const planned = original.get(one);
    const known = planned && weighted.get(planned);
    const combines = planned && plan.combined.get(planned);
    const [first = ''] = one.input;
    const [output = ''] = one.output;
    if (planned !== undefined && plan.absorbed.has(planned)) continue;
    if (one.opType === 'DequantizeLinear') {
      const scale = readScale(one, constants);
      bytes.set(output, { name: first, scale });
    } else if (known !== undefined) {
      addWeighted(one, known);
    } else if (combines !== undefined) {
      one.input = one.input.map((name) => (name === '' ? '' : fromBytes(bytesOf(name))));
      emit(one, combines);
    } else if (planned !== undefined && plan.moved.has(planned)) {
      const source = bytesOf(first);
      one.input[0] = source.name;
      one.output = [`${output}/bytes`];
      nodes.push(one);
      bytes.set(output, { name: `${output}/bytes`, scale: source.scale });
    } else {
      const [data = ''] = one.input;
      const keeps = constants.floats(one.input[1]) !== undefined && bytes.has(data) && !floats.has(data);
      one.input = keeps ? [doubled(data), ...one.input.slice(1)] : one.input.map(asFloat);
      emit(one, undefined);
    }
  }
  for (const { name } of graph.output) asFloat(name);
  graph.node = nodes;
  graph.initializer.push(...added);
  keepOnlyNeeded(
    graph,
    graph.output.map(({ name }) => name),
  );
  return model;
}

interface Values {
  readonly dims: readonly number[];
  readonly data: readonly number[] | Float32Array | Uint8Array;
}

/** The scale and zero-point that a DequantizeLinear of the float model has. */
function readScale(one: NodeProto, constants: Constants): Scale {
  const [, scale = '', zeroPoint = ''] = one.input;
  return { scale: constants.floats(scale)?.[0] ?? NaN, zeroPoint: NaN, names: [scale, zeroPoint] };
}

/** The 256 values of a byte over a range that holds 0, which is one of them. */
function scaleFor({ least, most }: Range): { readonly scale: number; readonly zeroPoint: number } {
  const scale = Math.fround((most - least) / 255);
  // Of what never was but 0.
  if (!(scale > 0)) return { scale: 1, zeroPoint: 0 };
  return { scale, zeroPoint: Math.max(0, Math.min(255, Math.round(-least / scale))) };
}

/**
 * Writes the float model with a second copy of every weighted node beside it, which reads the same float values through
 * bytes and has the weights and bias of the quantised model: what each layer alone makes wrong.
 */
export function besideFloat(options: QuantiseModelOptions): GraphModel {
  const { plan, ranges, processors, corrections } = options;
  const model = decodeModel(encodeModel(options.model));
  const { graph } = model;
  const constants = constantsOf(graph);
  const made = new Map(graph.node.flatMap((one) => one.output.map((name) => [name, one] as const)));
  const nodes: NodeProto[] = [...graph.node];
  const added: TensorProto[] = [];
  const read = new Map<string, { readonly name: string; readonly scale: number }>();
  for (const known of plan.weighted) {
    const [input = ''] = known.node.input;
    let bytes = read.get(input);
    const maker = made.get(input);
    if (bytes === undefined && maker?.opType === 'DequantizeLinear') {
      bytes = { name: input, scale: readScale(maker, constants).scale };
    } else if (bytes === undefined) {
      const { scale, zeroPoint } = scaleFor(rangeThrough(input, { made, ranges }));
      const names = [`${input}/bytes-scale`, `${input}/bytes-zero-point`];
      added.push(
        initializer({ name: names[0] ?? '', elementType: 'float32', dims: [], data: [scale] }),
        initializer({ name: names[1] ?? '', elementType: 'uint8', dims: [], data: Uint8Array.of(zeroPoint) }),
      );
      const [quantised, name] = [`${input}/as-bytes`, `${input}/through-bytes`];
      nodes.push(
        node('QuantizeLinear', { inputs: [input, ...names], outputs: [quantised] }),
        node('DequantizeLinear', { inputs: [quantised, ...names], outputs: [name] }),
      );
      bytes = { name, scale };
    }
    read.set(input, bytes);
    const correction = corrections?.get(known.node.name);
    const parts = weightParts(known, { constants, processors, inputScale: bytes.scale, correction });
    added.push(...parts.constants);
    const copy = node(known.kind, { inputs: [bytes.name, ...parts.inputs], outputs: [besideOf(known)] });
    copy.attribute = known.node.attribute;
    nodes.push(...parts.nodes, copy);
  }
  graph.node = nodes;
  graph.initializer.push(...added);
  return model;
}

/** The value of a node's copy in `besideFloat`. */
export function besideOf({ output }: Pick<WeightedNode, 'output'>): string {
  return `${output.source}/beside`;
}

interface Through {
  readonly made: ReadonlyMap<string, NodeProto>;
  readonly ranges: ReadonlyMap<string, Range>;
}

/** The range of a value, or of the value that was moved to become it. */
function rangeThrough(name: string, { made, ranges }: Through): Range {
  const range = ranges.get(name);
  const source = made.get(name)?.input[0];
  if (range !== undefined || source === undefined) return range ?? { least: 0, most: 0 };
  return rangeThrough(source, { made, ranges });
}

interface WeightsOptions {
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
function weightParts(known: WeightedNode, options: WeightsOptions): WeightParts {
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
