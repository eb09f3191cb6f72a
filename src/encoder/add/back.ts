import { NearvoteError } from '../../domain/errors.js';
import { node } from '../../onnx/model.js';
import type { NodeProto, TensorProto } from '../../onnx/model.js';
import { elementTypes, initializer } from '../../onnx/tensor.js';
import type { GraphPart } from './front.js';
import type { Layout } from './signature.js';

export type Token = 'cls' | 'mean';

export interface BackOptions {
  /** What the model returns, as one image gave it. */
  readonly features: { readonly name: string; readonly type: string; readonly dims: readonly number[] };
  readonly embeddings: string;
  readonly token: Token | undefined;
  readonly layout: Layout;
  readonly opset: number;
  readonly prefix: string;
}

/**
 * The nodes between a model's own output and unit vectors: token choice for `[n, tokens, d]`, the average of a feature
 * map `[n, c, h, w]` (`[n, h, w, c]` in an nhwc model), then division by the length.
 * @throws NearvoteError `usage` when --token is missing or in the way, `encoder_unsupported` for another shape or type
 */
export function backOf({ features, embeddings, token, layout, opset, prefix }: BackOptions): GraphPart {
  const shape = `[${['n', ...features.dims.slice(1)].join(',')}]`;
  if (features.type !== 'float32' && features.type !== 'float16') {
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected ${features.name} to be floats but it is ${features.type}`,
    );
  }
  const rank = features.dims.length;
  if (rank < 2 || rank > 4) {
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected ${features.name} to be [n,d], [n,tokens,d] or [n,c,h,w] but it is ${shape}`,
    );
  }
  if (rank === 3 && token === undefined) {
    throw new NearvoteError(
      'usage',
      `Expected --token cls or --token mean, because ${features.name} is ${shape}`,
    );
  }
  if (rank !== 3 && token !== undefined) {
    throw new NearvoteError(
      'usage',
      `Expected no --token, because ${features.name} is ${shape}, without tokens`,
    );
  }
  const named = (name: string): string => prefix + name;
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [];
  const reduce = (
    opType: 'ReduceMean' | 'ReduceL2',
    input: string,
    { axes, keepdims }: Reduction,
  ): string => {
    const output = named(opType);
    if (opset < 18) {
      nodes.push(node(opType, { inputs: [input], outputs: [output], attributes: { axes, keepdims } }));
    } else {
      const name = named(`${opType}-axes`);
      initializers.push(initializer({ name, elementType: 'int64', dims: [axes.length], data: axes }));
      nodes.push(node(opType, { inputs: [input, name], outputs: [output], attributes: { keepdims } }));
    }
    return output;
  };

  let at = features.name;
  if (features.type === 'float16') {
    nodes.push(
      node('Cast', { inputs: [at], outputs: [named('features')], attributes: { to: elementTypes.float32 } }),
    );
    at = named('features');
  }
  if (token === 'cls') {
    initializers.push(initializer({ name: named('first'), elementType: 'int64', dims: [], data: [0] }));
    nodes.push(
      node('Gather', { inputs: [at, named('first')], outputs: [named('cls')], attributes: { axis: 1 } }),
    );
    at = named('cls');
  } else if (rank > 2) {
    const spatial = layout === 'nchw' ? [2, 3] : [1, 2];
    at = reduce('ReduceMean', at, { axes: rank === 3 ? [1] : spatial, keepdims: 0 });
  }
  const length = reduce('ReduceL2', at, { axes: [1], keepdims: 1 });
  // An all-zero row stays zero, and asEmbeddings then says so, instead of becoming NaN.
  initializers.push(initializer({ name: named('least'), elementType: 'float32', dims: [], data: [1e-12] }));
  nodes.push(node('Max', { inputs: [length, named('least')], outputs: [named('length')] }));
  nodes.push(node('Div', { inputs: [at, named('length')], outputs: [embeddings] }));
  return { nodes, initializers };
}

interface Reduction {
  readonly axes: readonly number[];
  readonly keepdims: 0 | 1;
}
