import { intAttribute, valuesReadBy } from '../../onnx/graph.js';
import { node } from '../../onnx/model.js';
import type { GraphProto, NodeProto, TensorProto } from '../../onnx/model.js';
import { elementTypes, initializer, int64Values } from '../../onnx/tensor.js';

export interface FreeBatchOptions {
  /** The graph's input `[n, ...]`. */
  readonly pixels: string;
  readonly prefix: string;
}

/**
 * Rewrites what a model exported for one image says of that one: a Reshape to `[1, ...]`, and a constant (a class token)
 * concatenated to every image. For one image the result is the same; that it holds for more is for a run to prove.
 */
export function freeBatch(graph: GraphProto, { pixels, prefix }: FreeBatchOptions): void {
  const constants = constantsOf(graph);
  const perImage = perImageValues(graph, pixels);
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [
    initializer({ name: `${prefix}at-0`, elementType: 'int64', dims: [1], data: [0] }),
    initializer({ name: `${prefix}at-1`, elementType: 'int64', dims: [1], data: [1] }),
    initializer({ name: `${prefix}at-end`, elementType: 'int64', dims: [1], data: [2 ** 31] }),
  ];
  nodes.push(
    node('Shape', { inputs: [pixels], outputs: [`${prefix}pixels-shape`] }),
    node('Gather', { inputs: [`${prefix}pixels-shape`, `${prefix}at-0`], outputs: [`${prefix}batch`] }),
  );

  const freeReshape = (one: NodeProto): void => {
    const shape = constants.get(one.input[1] ?? '');
    if (shape === undefined || shape.dataType !== elementTypes.int64) return;
    const dims = freedDims(int64Values(shape), intAttribute(one, 'allowzero') === 1);
    if (dims === undefined) return;
    // A new constant: the old one may be the shape of something else as well.
    const name = `${prefix}free-shape${initializers.length}`;
    initializers.push(initializer({ name, elementType: 'int64', dims: [dims.length], data: dims }));
    one.input = [one.input[0] ?? '', name];
  };
  /** Repeats a value of one row for every image: Expand to [n, its other dimensions]. */
  const repeated = (value: string): string => {
    const name = (part: string): string => `${prefix}${part}${nodes.length}`;
    const [shape, rest, target, output] = [name('shape'), name('rest'), name('target'), name('repeated')];
    nodes.push(
      node('Shape', { inputs: [value], outputs: [shape] }),
      node('Slice', { inputs: [shape, `${prefix}at-1`, `${prefix}at-end`], outputs: [rest] }),
      node('Concat', { inputs: [`${prefix}batch`, rest], outputs: [target], attributes: { axis: 0 } }),
      node('Expand', { inputs: [value, target], outputs: [output] }),
    );
    return output;
  };

  for (const one of graph.node) {
    const [first = ''] = one.input;
    if (one.opType === 'Reshape' && perImage.has(first)) freeReshape(one);
    if (
      one.opType === 'Concat' &&
      intAttribute(one, 'axis') !== 0 &&
      one.input.some((input) => perImage.has(input))
    ) {
      one.input = one.input.map((input) => (perImage.has(input) ? input : repeated(input)));
    }
    nodes.push(one);
  }
  graph.node = nodes;
  graph.initializer.push(...initializers);
}

/** The shape with its leading 1 left open, `undefined` where it has none or cannot be left open. */
function freedDims(dims: readonly number[], zeroIsZero: boolean): number[] | undefined {
  const [first, ...rest] = dims;
  if (first !== 1 || rest.length === 0) return undefined;
  if (zeroIsZero && (rest.includes(0) || rest.includes(-1))) return undefined;
  // One dimension may be inferred (-1); where that is taken, the batch is copied from the input (0).
  return [rest.includes(-1) ? 0 : -1, ...rest];
}

function constantsOf(graph: GraphProto): Map<string, TensorProto> {
  const constants = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  for (const one of graph.node) {
    const value =
      one.opType === 'Constant' ? one.attribute.find(({ name }) => name === 'value')?.t : undefined;
    if (value !== undefined) constants.set(one.output[0] ?? '', value);
  }
  return constants;
}

/** The values that depend on the pixels themselves, not only on how many there are. */
function perImageValues(graph: GraphProto, pixels: string): Set<string> {
  const values = new Set([pixels]);
  for (const one of graph.node) {
    if (one.opType === 'Shape' || one.opType === 'Size') continue;
    if (valuesReadBy(one).some((name) => values.has(name)))
      for (const output of one.output) values.add(output);
  }
  return values;
}
