import type { EncoderManifest } from '../../../src/encoder/manifest.js';
import { encoderManifestSchema, sha256Of } from '../../../src/encoder/manifest.js';
import { openOnnxEncoder } from '../../../src/encoder/onnx-runtime.js';
import {
  encodeModel,
  model,
  node,
  tensorInfo,
  type AttributeValue,
  type NodeProto,
  type TensorProto,
} from '../../../src/onnx/model.js';
import { initializer } from '../../../src/onnx/tensor.js';
import { randomPixels, seededRandom } from '../folder.js';

export const side = 12;

/** Writes small encoders: each call adds an operator and returns the name of its output. */
export class Network {
  readonly #nodes: NodeProto[] = [];
  readonly #constants: TensorProto[] = [];
  readonly #random = seededRandom(7);
  readonly #opset: number;

  constructor({ opset = 17 }: { readonly opset?: number } = {}) {
    this.#opset = opset;
  }

  op(
    opType: string,
    inputs: readonly string[],
    attributes: Record<string, AttributeValue> = {},
    name?: string,
  ): string {
    const output = `${opType.toLowerCase()}${this.#nodes.length}`;
    this.#nodes.push(node(opType, { inputs, outputs: [output], attributes, name }));
    return output;
  }

  constant(dims: readonly number[], data: readonly number[]): string {
    const name = `constant${this.#constants.length}`;
    this.#constants.push(initializer({ name, elementType: 'float32', dims, data }));
    return name;
  }

  indices(data: readonly number[]): string {
    const name = `constant${this.#constants.length}`;
    this.#constants.push(initializer({ name, elementType: 'int64', dims: [data.length], data }));
    return name;
  }

  /** Of one place of an axis. */
  index(at: number): string {
    const name = `constant${this.#constants.length}`;
    this.#constants.push(initializer({ name, elementType: 'int64', dims: [], data: [at] }));
    return name;
  }

  /** Even in [low, high). */
  drawn(dims: readonly number[], low = -1, high = 1): string {
    const size = dims.reduce((product, dim) => product * dim, 1);
    return this.constant(
      dims,
      Array.from({ length: size }, () => low + this.#random() * (high - low)),
    );
  }

  conv(input: string, weights: readonly number[], attributes: Record<string, AttributeValue> = {}): string {
    const fan = weights.slice(1).reduce((product, dim) => product * dim, 1);
    const range = 2 / Math.sqrt(fan);
    const bias = this.drawn([weights[0] ?? 0], -0.2, 0.3);
    return this.op('Conv', [input, this.drawn(weights, -range, range), bias], attributes);
  }

  batchNorm(input: string, channels: number, least = 0.5): string {
    const parts = [this.drawn([channels], least, 1.5), this.drawn([channels]), this.drawn([channels])];
    return this.op('BatchNormalization', [input, ...parts, this.drawn([channels], 0.5, 2)]);
  }

  /** Pixels as planes of `(value / 255 - mean) / std`. */
  pixels(
    mean: readonly number[] = [0.485, 0.456, 0.406],
    std: readonly number[] = [0.229, 0.224, 0.225],
  ): string {
    const planes = this.op('Transpose', ['pixels'], { perm: [0, 3, 1, 2] });
    const scaled = this.op('Div', [this.op('Cast', [planes], { to: 1 }), this.constant([], [255])]);
    const centred = this.op('Sub', [scaled, this.constant([1, 3, 1, 1], mean)]);
    return this.op('Div', [centred, this.constant([3, 1, 1], std)]);
  }

  /** The bytes of an encoder whose features, divided by their length, are `features` `[n, dimension]`. */
  encoder(features: string): Uint8Array {
    const norm =
      this.#opset < 18
        ? this.op('ReduceL2', [features], { axes: [1], keepdims: 1 })
        : this.op('ReduceL2', [features, this.indices([1])], { keepdims: 1 });
    this.#nodes.push(node('Div', { inputs: [features, norm], outputs: ['embeddings'] }));
    return encodeModel(
      model({
        name: 'small',
        opset: this.#opset,
        inputs: [tensorInfo({ name: 'pixels', elementType: 'uint8', dims: ['n', side, side, 3] })],
        outputs: [tensorInfo({ name: 'embeddings', elementType: 'float32', dims: ['n', 'd'] })],
        nodes: this.#nodes,
        initializers: this.#constants,
      }),
    );
  }
}

const pads = [1, 1, 1, 1];

/** Convolution, batch norm behind a pool, residual sum, depthwise convolution, average, dense layer: [n, 6]. */
export function wholeNetwork(): Uint8Array {
  const net = new Network();
  const stem = net.op('Relu', [net.conv(net.pixels(), [8, 3, 2, 2])]);
  const pooled = net.op('MaxPool', [net.conv(stem, [8, 8, 3, 3], { pads })], {
    kernel_shape: [2, 2],
    strides: [2, 2],
  });
  const normed = net.op('Relu', [net.batchNorm(pooled, 8)]);
  const branch = net.conv(net.op('Relu', [net.conv(normed, [8, 8, 3, 3], { pads })]), [8, 8, 1, 1]);
  const sum = net.op('Relu', [net.op('Add', [branch, normed])]);
  const wide = net.op('Clip', [net.conv(sum, [16, 8, 1, 1]), net.constant([], [0]), net.constant([], [3])]);
  const deep = net.op('Relu', [net.conv(wide, [16, 1, 3, 3], { pads, group: 16 })]);
  const mean = net.op('Flatten', [net.op('GlobalAveragePool', [net.conv(deep, [10, 16, 1, 1])])]);
  return net.encoder(net.op('Gemm', [mean, net.drawn([10, 6]), net.drawn([6])]));
}

/** Smooth and noisy images of the size that the networks take. */
export function images(count: number, seed = 1): Uint8Array[] {
  return Array.from({ length: count }, (_, i) => {
    const noise = randomPixels(seed * 1000 + i, side * side * 3);
    const [base = 0, slope = 0] = randomPixels(seed * 2000 + i, 2);
    return noise.map((value, at) =>
      Math.min(255, base * 0.5 + ((at / 3) % side) * (slope / side) * 0.4 + value * 0.25),
    );
  });
}

export function manifestFor(bytes: Uint8Array, dimension: number): EncoderManifest {
  return encoderManifestSchema.parse({
    name: 'small',
    version: '1.0.0',
    format: 'onnx',
    file: 'encoder.onnx',
    sha256: sha256Of([bytes]),
    input: { name: 'pixels', width: side, height: side, fit: 'fill', kernel: 'cubic' },
    output: { name: 'embeddings', dimension },
    trainedOn: [],
    metrics: {},
    licence: 'none',
  });
}

/** Embeds with ONNX Runtime, all together: `[images, dimension]`. */
export async function embed(
  bytes: Uint8Array,
  pixels: readonly Uint8Array[],
  dimension: number,
): Promise<Float32Array> {
  const encoder = await openOnnxEncoder({ manifest: manifestFor(bytes, dimension), bytes, threads: 1 });
  try {
    return (await encoder.embed(new Uint8Array(Buffer.concat(pixels)), pixels.length)).values;
  } finally {
    await encoder.close();
  }
}
