import { constantsOf } from '../../onnx/constants.js';
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
import type { WeightedNode } from './plan.js';
import { readScale, scaleFor, type QuantiseModelOptions } from './qdq.js';
import { weightParts } from './weights.js';

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
