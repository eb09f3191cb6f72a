import { constantsOf, type Constants } from '../../onnx/constants.js';
import { floatAttribute, intAttribute, onlyReader, producersOf, readersOf } from '../../onnx/graph.js';
import type { GraphModel, GraphProto, NodeProto } from '../../onnx/model.js';

/** What is computed behind a node before anything else reads it: ReLU is `[0, ∞]`. */
interface Bounds {
  readonly lower: number;
  readonly upper: number;
}

/** A value that is kept as uint8: what makes it, and how it is bounded. */
export interface QuantisedValue {
  /** As it is read. */
  readonly name: string;
  /** Before the activation that its scale and zero-point take over; `name` itself where there is none. */
  readonly source: string;
  readonly bounds: Bounds | undefined;
}

/** A convolution, or a product by a constant: what has weights. */
export interface WeightedNode {
  readonly node: NodeProto;
  readonly kind: 'Conv' | 'Gemm' | 'MatMul';
  /** Multiplications of one image by one value of the output, times how many outputs share the weights is not known. */
  readonly weights: string;
  readonly bias: string | undefined;
  readonly output: QuantisedValue;
  /** Whether its output stays float: nothing that is quantised reads it. */
  readonly floatOutput: boolean;
}

/** Which nodes are computed in int8. Nodes that are in no list are computed in float. */
export interface Plan {
  readonly weighted: readonly WeightedNode[];
  /** Their activations, which are gone. */
  readonly absorbed: ReadonlySet<NodeProto>;
  /** Sums, averages and the like, by their output. */
  readonly combined: ReadonlyMap<NodeProto, QuantisedValue>;
  /** What moves bytes and computes nothing, or a maximum. */
  readonly moved: ReadonlySet<NodeProto>;
  /** Every value that needs a scale of its own. */
  readonly values: readonly QuantisedValue[];
  /** Weighted nodes that stay in float: by name why. */
  readonly leftInFloat: ReadonlyMap<string, string>;
}

/** By operator, how ONNX Runtime fuses it with what quantises around it. */
const combining: ReadonlySet<string> = new Set([
  'Add',
  'Mul',
  'Concat',
  'GlobalAveragePool',
  'AveragePool',
  'Sigmoid',
  'LeakyRelu',
]);
const moving: ReadonlySet<string> = new Set([
  'MaxPool',
  'Flatten',
  'Reshape',
  'Transpose',
  'Squeeze',
  'Unsqueeze',
]);

/** Decides what is computed in int8, all that can be but the nodes named in `inFloat`. */
export function planOf({ graph }: GraphModel, inFloat: ReadonlySet<string> = new Set()): Plan {
  const constants = constantsOf(graph);
  const readers = readersOf(graph);
  const producers = producersOf(graph);
  const leftInFloat = new Map<string, string>();
  const kinds = new Map<NodeProto, WeightedNode['kind']>();
  for (const one of graph.node) {
    const kind = weightedKind(one);
    if (kind === undefined) continue;
    const obstacle = inFloat.has(one.name)
      ? 'by measurement'
      : obstacleOf({ one, kind, constants, producers });
    if (obstacle === undefined) kinds.set(one, kind);
    else if (constants.floats(one.input[1]) !== undefined) leftInFloat.set(one.name, obstacle);
  }

  /** Whether what reads a value, through what moves it, is computed in int8. */
  const wanted = new Set<NodeProto>(kinds.keys());
  const isWanted = (value: string): boolean =>
    (readers.get(value) ?? []).some((reader) => wanted.has(reader));
  for (const one of graph.node.toReversed()) {
    const output = outputOf({ graph, one, constants });
    const takesFloats = one.input.every((name) => name === '' || constants.floats(name) === undefined);
    if (combining.has(one.opType) && takesFloats && isWanted(output.name)) wanted.add(one);
    if (moving.has(one.opType) && isWanted(one.output[0] ?? '')) wanted.add(one);
  }

  const quantised = new Map<string, QuantisedValue>();
  const moved = new Set<NodeProto>();
  const combined = new Map<NodeProto, QuantisedValue>();
  const absorbed = new Set<NodeProto>();
  const weighted: WeightedNode[] = [];
  const bytes = new Set<string>();
  const keep = (value: QuantisedValue): void => {
    bytes.add(value.name);
    if (!quantised.has(value.name)) quantised.set(value.name, value);
  };
  const take = (name: string): void => {
    if (!bytes.has(name)) keep({ name, source: name, bounds: undefined });
  };
  const absorb = ({ name, source }: QuantisedValue): void => {
    const activation = name === source ? undefined : producers.get(name);
    if (activation !== undefined) absorbed.add(activation);
  };
  for (const one of graph.node) {
    const kind = kinds.get(one);
    if (one.opType === 'DequantizeLinear') {
      bytes.add(one.output[0] ?? '');
    } else if (kind !== undefined) {
      take(one.input[0] ?? '');
      const output = outputOf({ graph, one, constants });
      const floatOutput = kind !== 'Conv' && !isWanted(output.name);
      weighted.push({
        node: one,
        kind,
        weights: one.input[1] ?? '',
        bias: one.input[2] || undefined,
        output,
        floatOutput,
      });
      if (floatOutput) continue;
      absorb(output);
      keep(output);
    } else if (combining.has(one.opType) && wanted.has(one)) {
      for (const name of one.input) take(name);
      const output = outputOf({ graph, one, constants });
      combined.set(one, output);
      absorb(output);
      keep(output);
    } else if (
      moving.has(one.opType) &&
      bytes.has(one.input[0] ?? '') &&
      (wanted.has(one) || one.opType === 'MaxPool')
    ) {
      moved.add(one);
      bytes.add(one.output[0] ?? '');
    }
  }
  return { weighted, absorbed, combined, moved, values: [...quantised.values()], leftInFloat };
}

function weightedKind({ opType, domain }: NodeProto): WeightedNode['kind'] | undefined {
  if (domain !== '') return undefined;
  return opType === 'Conv' || opType === 'Gemm' || opType === 'MatMul' ? opType : undefined;
}

interface Candidate {
  readonly one: NodeProto;
  readonly kind: WeightedNode['kind'];
  readonly constants: Constants;
  readonly producers: ReadonlyMap<string, NodeProto>;
}

/** Why a node with weights cannot be computed in int8. */
function obstacleOf({ one, kind, constants }: Candidate): string | undefined {
  const dims = constants.dims(one.input[1]);
  if (constants.floats(one.input[1]) === undefined) return 'its weights are no constant';
  if (one.input[2] && constants.floats(one.input[2]) === undefined) return 'its bias is no constant';
  if (kind === 'Conv') return dims.length >= 3 ? undefined : 'its weights have an unusual shape';
  if (dims.length !== 2) return 'its weights are no matrix';
  if (kind === 'MatMul') return undefined;
  const plain =
    (intAttribute(one, 'transA') ?? 0) === 0 &&
    (floatAttribute(one, 'alpha') ?? 1) === 1 &&
    (floatAttribute(one, 'beta') ?? 1) === 1;
  const columns = dims[intAttribute(one, 'transB') === 1 ? 0 : 1];
  const biasDims = constants.dims(one.input[2]);
  const biased = !one.input[2] || (biasDims.length === 1 && biasDims[0] === columns);
  return plain && biased ? undefined : 'it scales or transposes what it multiplies';
}

interface OutputOptions {
  readonly graph: GraphProto;
  readonly one: NodeProto;
  readonly constants: Constants;
}

/** What is read of a node: its output, or that of the ReLU or Clip from 0 behind it. */
function outputOf({ graph, one, constants }: OutputOptions): QuantisedValue {
  const [source = ''] = one.output;
  const reader = onlyReader(graph, source);
  const bounds = reader && boundsOf(reader, constants);
  if (reader === undefined || bounds?.lower !== 0) return { name: source, source, bounds: undefined };
  return { name: reader.output[0] ?? '', source, bounds };
}

/** The bounds of a ReLU or Clip by constants; `undefined` for other nodes. */
function boundsOf(one: NodeProto, constants: Constants): Bounds | undefined {
  if (one.opType === 'Relu') return { lower: 0, upper: Infinity };
  if (one.opType !== 'Clip') return undefined;
  const [, least, most] = one.input;
  const lower = least ? constants.floats(least)?.[0] : -Infinity;
  const upper = most ? constants.floats(most)?.[0] : Infinity;
  return lower === undefined || upper === undefined ? undefined : { lower, upper };
}
