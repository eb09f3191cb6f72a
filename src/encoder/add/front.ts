import { node } from '../../onnx/model.js';
import type { NodeProto, TensorProto } from '../../onnx/model.js';
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
