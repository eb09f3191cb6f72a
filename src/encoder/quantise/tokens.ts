import { opsetOf } from '../../onnx/graph.js';
import { decodeModel, encodeModel, node, type GraphModel, type NodeProto } from '../../onnx/model.js';
import { initializer } from '../../onnx/tensor.js';
import { planOf } from './plan.js';

/** No token has less: nothing is divided by 0. */
const leastAmount = 1e-12;

/**
 * Gives every token a scale of its own where it is multiplied by constants: it is divided by its largest amount, so that
 * one scale of bytes does for all, and the product is multiplied by the same. It is what dynamic quantisation does, by
 * token instead of by batch, so that no embedding depends on the images beside it (ZeroQuant, Yao et al. 2022,
 * arXiv:2206.01861).
 * @returns the model, or `undefined` where nothing is multiplied so
 */
export function scaleByToken(model: GraphModel): GraphModel | undefined {
  const scaled = decodeModel(encodeModel(model));
  const { graph } = scaled;
  const products = new Set(
    planOf(scaled).weighted.flatMap((one) => (one.kind === 'MatMul' ? [one.node] : [])),
  );
  if (products.size === 0) return undefined;
  const [least, last] = ['tokens/least-amount', 'tokens/last-axis'];
  graph.initializer.push(initializer({ name: least, elementType: 'float32', dims: [], data: [leastAmount] }));
  // From this version on, axes are an input.
  const axesAreInput = opsetOf(scaled) >= 18;
  if (axesAreInput)
    graph.initializer.push(initializer({ name: last, elementType: 'int64', dims: [1], data: [-1] }));

  const nodes: NodeProto[] = [];
  const done = new Set<string>();
  const namesOf = (value: string) => ({ amount: `${value}/amount`, even: `${value}/by-token` });
  const makeEven = (value: string): void => {
    const { amount, even } = namesOf(value);
    const [sizes, largest] = [`${value}/sizes`, `${value}/largest`];
    nodes.push(
      node('Abs', { inputs: [value], outputs: [sizes] }),
      node('ReduceMax', {
        inputs: axesAreInput ? [sizes, last] : [sizes],
        outputs: [largest],
        attributes: { keepdims: 1, ...(axesAreInput ? {} : { axes: [-1] }) },
      }),
      node('Max', { inputs: [largest, least], outputs: [amount] }),
      node('Div', { inputs: [value, amount], outputs: [even] }),
    );
    done.add(value);
  };
  for (const one of graph.node) {
    if (!products.has(one)) {
      nodes.push(one);
      continue;
    }
    const [value = ''] = one.input;
    const [output = ''] = one.output;
    if (!done.has(value)) makeEven(value);
    const { amount, even } = namesOf(value);
    const product = `${output}/by-token`;
    one.input[0] = even;
    one.output = [product];
    nodes.push(one, node('Mul', { inputs: [product, amount], outputs: [output] }));
  }
  graph.node = nodes;
  return scaled;
}
