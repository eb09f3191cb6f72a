import { NearvoteError } from '../../domain/errors.js';
import { node, type NodeProto, type TensorProto } from '../../onnx/model.js';
import { elementTypes, initializer } from '../../onnx/tensor.js';
import type { Layout } from './signature.js';

export interface GraphPart {
  readonly nodes: NodeProto[];
  readonly initializers: TensorProto[];
}

export interface Preprocessing {
  readonly layout: Layout;
  readonly channels: 'rgb' | 'bgr';
  /** Pixel values are divided by it first. */
  readonly scale: number;
  /** Of the scaled values, in the order of `channels`. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

export interface FrontOptions {
  /** uint8 RGB `[n, height, width, 3]`. */
  readonly pixels: string;
  /** What the model takes: `(value / scale - mean) / std`. */
  readonly image: string;
  readonly imageType: 'float32' | 'float16';
  readonly preprocessing: Preprocessing;
  /** Before every name that is added; no name in the graph begins with it. */
  readonly prefix: string;
}

/** The nodes between pixels and a model's own input. */
export function frontOf({ pixels, image, imageType, preprocessing, prefix }: FrontOptions): GraphPart {
  const { layout, channels, scale, mean, std } = preprocessing;
  const named = (name: string): string => prefix + name;
  const dims = layout === 'nchw' ? [3, 1, 1] : [3];
  const nodes: NodeProto[] = [];
  const initializers = [
    // (x / scale - mean) / std, as one multiplication and one addition.
    initializer({
      name: named('gain'),
      elementType: 'float32',
      dims,
      data: std.map((one) => 1 / (scale * one)),
    }),
    initializer({
      name: named('shift'),
      elementType: 'float32',
      dims,
      data: std.map((one, i) => -(mean[i] ?? 0) / one),
    }),
  ];
  let at = pixels;
  const step = (opType: string, options: Step): void => {
    const output = options.output ?? named(`${opType.toLowerCase()}${nodes.length}`);
    const inputs = [at, ...(options.constants ?? [])];
    nodes.push(
      node(opType, {
        inputs,
        outputs: [output],
        attributes: options.attributes,
        name: named(`front${nodes.length}`),
      }),
    );
    at = output;
  };
  if (channels === 'bgr') {
    initializers.push(initializer({ name: named('bgr'), elementType: 'int64', dims: [3], data: [2, 1, 0] }));
    step('Gather', { constants: [named('bgr')], attributes: { axis: 3 } });
  }
  // While a pixel is still a byte: a quarter of the memory to move.
  if (layout === 'nchw') step('Transpose', { attributes: { perm: [0, 3, 1, 2] } });
  step('Cast', { attributes: { to: elementTypes.float32 } });
  step('Mul', { constants: [named('gain')] });
  if (imageType === 'float32') {
    step('Add', { constants: [named('shift')], output: image });
  } else {
    step('Add', { constants: [named('shift')] });
    step('Cast', { attributes: { to: elementTypes.float16 }, output: image });
  }
  return { nodes, initializers };
}

interface Step {
  readonly constants?: readonly string[] | undefined;
  readonly attributes?: Readonly<Record<string, number | readonly number[]>> | undefined;
  readonly output?: string | undefined;
}

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
