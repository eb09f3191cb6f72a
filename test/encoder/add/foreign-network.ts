import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { addEncoder } from '../../../src/encoder/add/add-encoder.js';
import type { AddEncoderOptions } from '../../../src/encoder/add/added-manifest.js';
import { loadEncoder } from '../../../src/encoder/load.js';
import { resizeTo } from '../../../src/image/geometry.js';
import type { EncoderManifest } from '../../../src/encoder/manifest.js';
import { encodeModel, model, node, tensorInfo } from '../../../src/onnx/model.js';
import type { GraphModel, NodeProto, TensorProto } from '../../../src/onnx/model.js';
import { initializer } from '../../../src/onnx/tensor.js';
import { randomPixels } from '../folder.js';

/** Not square, so that height and width cannot be taken for each other. */
export const width = 6;
export const height = 4;

/** [out, in]: each pixel's four features are ReLU(weights x pixel), by themselves. */
const weights = [
  [1, -0.5, 0.25],
  [-0.75, 1, 0.5],
  [0.5, 0.5, -1],
  [0.25, 0.125, 0.75],
] as const;
/** The class token of a network that has one. */
const classToken = [3, -1, 2, 0.5];

export interface ForeignOptions {
  readonly layout?: 'nchw' | 'nhwc';
  /** pooled [n,4]; map [n,4,h,w] or [n,h,w,4]; tokens [n,h*w,4]; class-token [n,1+h*w,4] */
  readonly features?: 'pooled' | 'map' | 'tokens' | 'class-token';
  readonly elementType?: 'float32' | 'float16';
  readonly batch?: number | string;
  readonly opset?: number;
  /** Of the Reshape to tokens. */
  readonly shape?: readonly number[];
  readonly constantsAsNodes?: boolean;
}

/** An encoder as other tools export them: normalised floats in, features of any length out. */
export function foreignModel(options: ForeignOptions = {}): GraphModel {
  const {
    layout = 'nchw',
    features = 'pooled',
    elementType = 'float32',
    batch = 'batch',
    opset = 17,
  } = options;
  const nhwc = layout === 'nhwc';
  const half = elementType === 'float16';
  const nodes: NodeProto[] = [];
  const initializers: TensorProto[] = [
    initializer({ name: 'w', elementType: 'float32', dims: [4, 3, 1, 1], data: weights.flat() }),
  ];
  const constant = (tensor: TensorProto): string => {
    if (options.constantsAsNodes === true) {
      nodes.push(node('Constant', { inputs: [], outputs: [tensor.name], attributes: { value: { tensor } } }));
    } else initializers.push(tensor);
    return tensor.name;
  };
  let at = 'image';
  const step = (opType: string, others: string[] = [], attributes = {}): void => {
    const output = `v${nodes.length}`;
    nodes.push(node(opType, { inputs: [at, ...others], outputs: [output], attributes }));
    at = output;
  };
  if (half) step('Cast', [], { to: 1 });
  if (nhwc) step('Transpose', [], { perm: [0, 3, 1, 2] });
  step('Conv', ['w']);
  step('Relu');
  if (features === 'pooled') {
    step('GlobalAveragePool');
    step('Flatten');
  } else if (features === 'map') {
    if (nhwc) step('Transpose', [], { perm: [0, 2, 3, 1] });
  } else {
    const data = options.shape ?? [0, 4, -1];
    const shape = constant(initializer({ name: 'shape', elementType: 'int64', dims: [data.length], data }));
    step('Reshape', [shape]);
    step('Transpose', [], { perm: [0, 2, 1] });
    if (features === 'class-token') {
      const token = constant(
        initializer({ name: 'cls', elementType: 'float32', dims: [1, 1, 4], data: classToken }),
      );
      nodes.push(node('Concat', { inputs: [token, at], outputs: ['with_cls'], attributes: { axis: 1 } }));
      at = 'with_cls';
    }
  }
  nodes.push(
    half
      ? node('Cast', { inputs: [at], outputs: ['features'], attributes: { to: 10 } })
      : node('Identity', { inputs: [at], outputs: ['features'] }),
  );
  return model({
    name: 'foreign',
    opset,
    irVersion: opset >= 21 ? 10 : 8,
    inputs: [
      tensorInfo({
        name: 'image',
        elementType,
        dims: nhwc ? [batch, height, width, 3] : [batch, 3, height, width],
      }),
    ],
    outputs: [tensorInfo({ name: 'features', elementType, dims: declaredDims[features] })],
    nodes,
    initializers,
  });
}

/** As a dynamic export declares them: hardly. */
const declaredDims = {
  pooled: ['batch', 4],
  map: ['a', 'b', 'c', 'd'],
  tokens: ['batch', 't', 4],
  'class-token': ['batch', 't', 4],
};

const mean = [0.5, 0.25, 0.75] as const;
const std = [0.5, 0.25, 0.2] as const;

export interface ByHandOptions {
  readonly take?: 'mean' | 'first' | 'mean with class token' | 'class token';
  readonly channels?: 'rgb' | 'bgr';
  readonly scale?: number;
}

/** What the wrapped encoder must give for one RGB image, in plain arithmetic. */
function byHand(pixels: Uint8Array, options: ByHandOptions = {}): number[] {
  const { take = 'mean', channels = 'rgb', scale = 255 } = options;
  const order = channels === 'rgb' ? [0, 1, 2] : [2, 1, 0];
  const tokens: number[][] = [];
  for (let i = 0; i < pixels.length; i += 3) {
    const normalised = order.map(
      (c, k) => ((pixels[i + c] ?? NaN) / scale - (mean[k] ?? NaN)) / (std[k] ?? NaN),
    );
    tokens.push(
      weights.map((row) =>
        Math.max(
          0,
          row.reduce((sum, w, k) => sum + w * (normalised[k] ?? NaN), 0),
        ),
      ),
    );
  }
  if (take.includes('class token')) tokens.unshift(classToken);
  const chosen = take.startsWith('mean') ? tokens : tokens.slice(0, 1);
  const features = weights.map(
    (_, d) => chosen.reduce((sum, token) => sum + (token[d] ?? NaN), 0) / chosen.length,
  );
  const length = Math.hypot(...features);
  return features.map((value) => value / length);
}

export type AddOverrides = Partial<Omit<AddEncoderOptions, 'preprocessing'>> & {
  readonly preprocessing?: Partial<AddEncoderOptions['preprocessing']>;
};

/** Adds `source`, written to `foreign.onnx` in `dir`, as `dir`/models/foreign. */
export async function add(
  dir: string,
  source: GraphModel | Uint8Array,
  overrides: AddOverrides = {},
): Promise<EncoderManifest> {
  const path = join(dir, 'foreign.onnx');
  await writeFile(path, source instanceof Uint8Array ? source : encodeModel(source));
  const { preprocessing, ...others } = overrides;
  return addEncoder({
    path,
    dir: join(dir, 'models', 'foreign'),
    force: false,
    name: 'foreign',
    version: '1.0.0',
    geometry: resizeTo({ width, height, fit: 'cover', kernel: 'cubic' }),
    licence: 'MIT',
    trainedOn: ['nothing'],
    ...others,
    preprocessing: { layout: 'nchw', channels: 'rgb', scale: 255, mean, std, ...preprocessing },
  });
}

/** The added encoder embeds a batch of four where arithmetic says. */
export async function expectByHand(dir: string, options: ByHandOptions = {}, digits = 5): Promise<void> {
  const encoder = await loadEncoder(join(dir, 'models', 'foreign'), { threads: 1 });
  const size = width * height * 3;
  const pixels = randomPixels(11, 4 * size);
  const { values, dimension } = await encoder.embed(pixels, 4);
  await encoder.close();
  expect(dimension).toBe(4);
  for (let row = 0; row < 4; row++) {
    byHand(pixels.subarray(row * size, (row + 1) * size), options).forEach((expected, d) => {
      expect(values[row * 4 + d]).toBeCloseTo(expected, digits);
    });
  }
}
