import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { io, LayersModel } from '@tensorflow/tfjs';
import type { TensorFlow } from '../../src/encoder/tensorflow.js';
import { encodeModel, model, node, tensorInfo } from '../../src/onnx/model.js';
import { initializer } from '../../src/onnx/tensor.js';
import { seededRandom } from './folder.js';

/**
 * One small network in three formats from one set of weights:
 * pixels [n,8,8,3] / 127.5 - 1 -> conv 3x3 same, 6, ReLU -> conv 3x3 valid stride 2, 7, ReLU -> mean -> dense 5 -> unit length.
 */
const random = seededRandom(20);
const weights = {
  kernel1: draw([3, 3, 3, 6]), // TensorFlow's order: [height, width, in, out]
  bias1: draw([6]),
  kernel2: draw([3, 3, 6, 7]),
  bias2: draw([7]),
  dense: draw([7, 5]), // [in, out]
  bias3: draw([5]),
};

interface Weight {
  readonly shape: number[];
  readonly values: Float32Array;
}

function draw(shape: number[]): Weight {
  const size = shape.reduce((product, dim) => product * dim, 1);
  return { shape, values: Float32Array.from({ length: size }, () => random() - 0.5) };
}

/** [height, width, in, out] -> [out, in, height, width], as ONNX's Conv takes it. */
function turned({ shape, values }: Weight): { dims: number[]; data: Float32Array } {
  const [h = 0, w = 0, i = 0, o = 0] = shape;
  const data = new Float32Array(values.length);
  for (let y = 0; y < h; y++)
    for (let x = 0; x < w; x++)
      for (let c = 0; c < i; c++)
        for (let k = 0; k < o; k++) {
          data[((k * i + c) * h + y) * w + x] = values[((y * w + x) * i + c) * o + k] ?? NaN;
        }
  return { dims: [o, i, h, w], data };
}

export function onnxBytes(): Uint8Array {
  const float = (name: string, dims: number[], data: readonly number[] | Float32Array) =>
    initializer({ name, elementType: 'float32', dims, data });
  const conv1 = turned(weights.kernel1);
  const conv2 = turned(weights.kernel2);
  return encodeModel(
    model({
      name: 'parity',
      inputs: [tensorInfo({ name: 'pixels', elementType: 'uint8', dims: ['n', 8, 8, 3] })],
      outputs: [tensorInfo({ name: 'embeddings', elementType: 'float32', dims: ['n', 5] })],
      initializers: [
        float('scale', [], [1 / 127.5]),
        float('one', [], [1]),
        float('k1', conv1.dims, conv1.data),
        float('b1', [6], weights.bias1.values),
        float('k2', conv2.dims, conv2.data),
        float('b2', [7], weights.bias2.values),
        float('w', [7, 5], weights.dense.values),
        float('b3', [5], weights.bias3.values),
      ],
      nodes: [
        node('Cast', { inputs: ['pixels'], outputs: ['x'], attributes: { to: 1 } }),
        node('Mul', { inputs: ['x', 'scale'], outputs: ['scaled'] }),
        node('Sub', { inputs: ['scaled', 'one'], outputs: ['centred'] }),
        node('Transpose', { inputs: ['centred'], outputs: ['nchw'], attributes: { perm: [0, 3, 1, 2] } }),
        node('Conv', { inputs: ['nchw', 'k1', 'b1'], outputs: ['c1'], attributes: { pads: [1, 1, 1, 1] } }),
        node('Relu', { inputs: ['c1'], outputs: ['r1'] }),
        node('Conv', { inputs: ['r1', 'k2', 'b2'], outputs: ['c2'], attributes: { strides: [2, 2] } }),
        node('Relu', { inputs: ['c2'], outputs: ['r2'] }),
        node('GlobalAveragePool', { inputs: ['r2'], outputs: ['mean'] }),
        node('Flatten', { inputs: ['mean'], outputs: ['features'] }),
        node('Gemm', { inputs: ['features', 'w', 'b3'], outputs: ['dense'] }),
        node('ReduceL2', { inputs: ['dense'], outputs: ['norm'], attributes: { axes: [1], keepdims: 1 } }),
        node('Div', { inputs: ['dense', 'norm'], outputs: ['embeddings'] }),
      ],
    }),
  );
}

/** What a layers model is when it is saved, and the model disposed of. */
export async function artifactsOf(network: LayersModel): Promise<io.ModelArtifacts> {
  let saved: io.ModelArtifacts = {};
  await network.save({
    save: (artifacts) => {
      saved = artifacts;
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } });
    },
  });
  network.dispose();
  return saved;
}

/** Saves it as a Keras-style layers model in two shards. tfjs has no layer for unit length: the runtime's part. */
export async function saveLayersModel(tf: TensorFlow, dir: string): Promise<string[]> {
  const layers = [
    tf.layers.rescaling({ scale: 1 / 127.5, offset: -1, inputShape: [8, 8, 3] }),
    tf.layers.conv2d({ filters: 6, kernelSize: 3, padding: 'same', activation: 'relu' }),
    tf.layers.conv2d({ filters: 7, kernelSize: 3, strides: 2, activation: 'relu' }),
    tf.layers.globalAveragePooling2d({}),
    tf.layers.dense({ units: 5 }),
  ];
  const network = tf.sequential({ layers });
  const tensors = Object.values(weights).map(({ values, shape }) => tf.tensor(values, shape));
  network.setWeights(tensors);
  const saved = await artifactsOf(network);
  tf.dispose(tensors);
  const bytes = new Uint8Array(tf.io.CompositeArrayBuffer.join(saved.weightData));
  return saveTfjs(dir, {
    topology: saved.modelTopology ?? {},
    format: 'layers-model',
    specs: saved.weightSpecs ?? [],
    bytes,
  });
}

/** Saves it as a graph model, as tensorflowjs_converter writes one. */
export async function saveGraphModel(dir: string): Promise<string[]> {
  const type = (name: string) => ({ type: name });
  const text = (value: string) => ({ s: Buffer.from(value).toString('base64') });
  const ints = (...values: number[]) => ({ list: { i: values.map(String) } });
  const dim = (shape: number[]) => ({ shape: { dim: shape.map((size) => ({ size: String(size) })) } });
  const op = (name: string, kind: string, input: string[] = [], attr: object = {}) => ({
    name,
    op: kind,
    input,
    attr,
  });
  const constants: Record<string, Weight> = {
    ...weights,
    scale: { shape: [], values: Float32Array.of(1 / 127.5) },
    one: { shape: [], values: Float32Array.of(1) },
  };
  const axes = { spatial: [1, 2], last: [1] };
  const conv = (padding: string, stride: number) => ({
    T: type('DT_FLOAT'),
    data_format: text('NHWC'),
    padding: text(padding),
    strides: ints(1, stride, stride, 1),
    dilations: ints(1, 1, 1, 1),
  });
  const topology = {
    versions: { producer: 1 },
    node: [
      op('pixels', 'Placeholder', [], { dtype: type('DT_INT32'), ...dim([-1, 8, 8, 3]) }),
      ...Object.keys(constants).map((name) => op(name, 'Const', [], { dtype: type('DT_FLOAT') })),
      ...Object.keys(axes).map((name) => op(name, 'Const', [], { dtype: type('DT_INT32') })),
      op('x', 'Cast', ['pixels'], { SrcT: type('DT_INT32'), DstT: type('DT_FLOAT') }),
      op('scaled', 'Mul', ['x', 'scale']),
      op('centred', 'Sub', ['scaled', 'one']),
      op('c1', 'Conv2D', ['centred', 'kernel1'], conv('SAME', 1)),
      op('a1', 'BiasAdd', ['c1', 'bias1'], { data_format: text('NHWC') }),
      op('r1', 'Relu', ['a1']),
      op('c2', 'Conv2D', ['r1', 'kernel2'], conv('VALID', 2)),
      op('a2', 'BiasAdd', ['c2', 'bias2'], { data_format: text('NHWC') }),
      op('r2', 'Relu', ['a2']),
      op('features', 'Mean', ['r2', 'spatial'], { keep_dims: { b: false } }),
      op('product', 'MatMul', ['features', 'dense'], {
        transpose_a: { b: false },
        transpose_b: { b: false },
      }),
      op('raw', 'AddV2', ['product', 'bias3']),
      op('square', 'Square', ['raw']),
      op('sum', 'Sum', ['square', 'last'], { keep_dims: { b: true } }),
      op('inverse', 'Rsqrt', ['sum']),
      op('embeddings', 'Mul', ['raw', 'inverse']),
    ],
  };
  const specs: io.WeightsManifestEntry[] = [
    ...Object.entries(constants).map(([name, { shape }]) => ({ name, shape, dtype: 'float32' as const })),
    ...Object.entries(axes).map(([name, list]) => ({ name, shape: [list.length], dtype: 'int32' as const })),
  ];
  const arrays = [
    ...Object.values(constants).map((w) => w.values),
    ...Object.values(axes).map((l) => Int32Array.from(l)),
  ];
  const bytes = Buffer.concat(arrays.map((array) => new Uint8Array(array.buffer)));
  return saveTfjs(dir, { topology, format: 'graph-model', specs, bytes });
}

interface TfjsModel {
  readonly topology: object;
  readonly format: string;
  readonly specs: readonly io.WeightsManifestEntry[];
  readonly bytes: Uint8Array;
}

async function saveTfjs(dir: string, { topology, format, specs, bytes }: TfjsModel): Promise<string[]> {
  const paths = ['group1-shard1of2.bin', 'group1-shard2of2.bin'];
  // Not at a weight's end: a shard may break anywhere.
  await writeFile(join(dir, 'group1-shard1of2.bin'), bytes.subarray(0, 101));
  await writeFile(join(dir, 'group1-shard2of2.bin'), bytes.subarray(101));
  const json = { format, modelTopology: topology, weightsManifest: [{ paths, weights: specs }] };
  await writeFile(join(dir, 'model.json'), JSON.stringify(json));
  return ['model.json', ...paths];
}
