import { constantsOf, type Constants } from '../../onnx/constants.js';
import { keepOnlyNeeded } from '../../onnx/graph.js';
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
import { weightParts, type Processors } from './weights.js';

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
export function readScale(one: NodeProto, constants: Constants): Scale {
  const [, scale = '', zeroPoint = ''] = one.input;
  return { scale: constants.floats(scale)?.[0] ?? NaN, zeroPoint: NaN, names: [scale, zeroPoint] };
}

/** The 256 values of a byte over a range that holds 0, which is one of them. */
export function scaleFor({ least, most }: Range): { readonly scale: number; readonly zeroPoint: number } {
  const scale = Math.fround((most - least) / 255);
  // Of what never was but 0.
  if (!(scale > 0)) return { scale: 1, zeroPoint: 0 };
  return { scale, zeroPoint: Math.max(0, Math.min(255, Math.round(-least / scale))) };
}
