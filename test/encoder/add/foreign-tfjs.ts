import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TensorFlow } from '../../../src/encoder/tensorflow.js';
import { seededRandom } from '../folder.js';
import { artifactsOf } from '../parity-network.js';

/* A network that another project might have made: image [n,3,4,3] -> conv 1x1, 5 -> ReLU, and what follows from that. */

const random = seededRandom(40);
/** `[in, out]` */
export const foreignWeights = Float32Array.from({ length: 15 }, () => random() - 0.4);
const classWeights = Float32Array.from({ length: 10 }, () => random());

/** As a graph model whose outputs are `classes`, `tokens` and `map2`, and which has `map` and `pooled` inside. */
export async function saveForeign(
  dir: string,
  change: (json: string) => string = String,
  pooledOver: readonly number[] = [1, 2],
): Promise<void> {
  const text = (value: string) => ({ s: Buffer.from(value).toString('base64') });
  const ints = (...values: number[]) => ({ list: { i: values.map(String) } });
  const float = { dtype: { type: 'DT_FLOAT' } };
  const int = { dtype: { type: 'DT_INT32' } };
  const dim = [-1, 3, 4, 3].map((size) => ({ size: String(size) }));
  const node = (name: string, op: string, input: string[] = [], attr: object = {}) => ({
    name,
    op,
    input,
    attr,
  });
  const conv = {
    data_format: text('NHWC'),
    padding: text('SAME'),
    strides: ints(1, 1, 1, 1),
    dilations: ints(1, 1, 1, 1),
  };
  const modelTopology = {
    versions: { producer: 1 },
    node: [
      node('image', 'Placeholder', [], { ...float, shape: { shape: { dim } } }),
      node('w', 'Const', [], float),
      node('w2', 'Const', [], float),
      node('axes', 'Const', [], int),
      node('shape', 'Const', [], int),
      node('product', 'Conv2D', ['image', 'w'], conv),
      node('map', 'Relu', ['product']),
      node('map2', 'AddV2', ['map', 'map']),
      node('tokens', 'Reshape', ['map', 'shape']),
      node('pooled', 'Mean', ['map', 'axes'], { keep_dims: { b: pooledOver.includes(0) } }),
      node('classes', 'MatMul', ['pooled', 'w2'], { transpose_a: { b: false }, transpose_b: { b: false } }),
    ],
  };
  const weights = [
    { name: 'w', shape: [1, 1, 3, 5], dtype: 'float32' },
    { name: 'w2', shape: [5, 2], dtype: 'float32' },
    { name: 'axes', shape: [pooledOver.length], dtype: 'int32' },
    { name: 'shape', shape: [3], dtype: 'int32' },
  ];
  const arrays = [foreignWeights, classWeights, Int32Array.from(pooledOver), Int32Array.of(-1, 12, 5)];
  const signature = {
    inputs: { image: { name: 'image:0' } },
    outputs: Object.fromEntries(['classes', 'tokens', 'map2'].map((name) => [name, { name: `${name}:0` }])),
  };
  const json = {
    format: 'graph-model',
    signature,
    modelTopology,
    weightsManifest: [{ paths: ['weights.bin'], weights }],
  };
  await writeFile(
    join(dir, 'weights.bin'),
    Buffer.concat(arrays.map(({ buffer }) => new Uint8Array(buffer))),
  );
  await writeFile(join(dir, 'model.json'), change(JSON.stringify(json)));
}

/** As a layers model with a classifier, with layers `map` and `pooled` before it. */
export async function saveForeignLayers(
  tf: TensorFlow,
  dir: string,
  change: (json: string) => string = String,
): Promise<void> {
  const layers = [
    tf.layers.conv2d({ filters: 5, kernelSize: 1, useBias: false, inputShape: [3, 4, 3] }),
    tf.layers.reLU({ name: 'map' }),
    tf.layers.globalAveragePooling2d({ name: 'pooled' }),
    tf.layers.dense({ units: 2, useBias: false }),
  ];
  const network = tf.sequential({ layers });
  const tensors = [tf.tensor(foreignWeights, [1, 1, 3, 5]), tf.tensor(classWeights, [5, 2])];
  network.setWeights(tensors);
  const saved = await artifactsOf(network);
  tf.dispose(tensors);
  const json = {
    format: 'layers-model',
    modelTopology: saved.modelTopology,
    weightsManifest: [{ paths: ['weights.bin'], weights: saved.weightSpecs }],
  };
  await writeFile(
    join(dir, 'weights.bin'),
    new Uint8Array(tf.io.CompositeArrayBuffer.join(saved.weightData)),
  );
  await writeFile(join(dir, 'model.json'), change(JSON.stringify(json)));
}
