import { createHash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeModel, model, node, tensorInfo, type NodeProto, type TensorProto } from '../src/onnx/model.js';
import { resizeTo } from '../src/image/geometry.js';
import { initializer } from '../src/onnx/tensor.js';
import { seededRandom } from './drawn-images.js';

const size = 224;
const dimension = 512;

/**
 * Writes an encoder of ResNet-18's shape (He et al. 2015, arXiv:1512.03385, table 1) with seeded random weights: uint8
 * [n, 224, 224, 3] in, unit float32 [n, 512] out. Batch norm is left folded away, as it is in an exported model.
 */
export async function writeResnet18(
  modelsDir: string,
): Promise<{ readonly name: string; readonly dir: string }> {
  const name = 'resnet18-random';
  const dir = join(modelsDir, name);
  const bytes = resnet18();
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'encoder.onnx'), bytes);
  const manifest = {
    name,
    version: '1.0.0',
    format: 'onnx',
    file: 'encoder.onnx',
    sha256: createHash('sha256').update(bytes).digest('hex'),
    input: {
      name: 'pixels',
      width: size,
      height: size,
      geometry: resizeTo({ width: size, height: size, fit: 'cover', kernel: 'cubic' }),
    },
    output: { name: 'embeddings', dimension },
    trainedOn: ['nothing'],
    metrics: {},
    licence: 'Apache-2.0',
  };
  await writeFile(join(dir, 'encoder.json'), JSON.stringify(manifest, null, 2));
  return { name, dir };
}

interface Convolution {
  readonly from: string;
  readonly channels: readonly [number, number];
  readonly kernel: number;
  readonly stride: number;
}

function resnet18(): Uint8Array {
  const random = seededRandom(18);
  const nodes: NodeProto[] = [];
  const constants: TensorProto[] = [];
  let next = 0;

  function op(
    type: string,
    inputs: readonly string[],
    attributes: Parameters<typeof node>[1]['attributes'] = {},
  ) {
    const output = `value${next++}`;
    nodes.push(node(type, { inputs, outputs: [output], attributes }));
    return output;
  }

  function constant(dims: readonly number[], data: Float32Array): string {
    const name = `weight${next++}`;
    constants.push(initializer({ name, elementType: 'float32', dims, data }));
    return name;
  }

  function convolve({ from, channels: [into, out], kernel, stride }: Convolution): string {
    // He et al. 2015, arXiv:1502.01852: variance 2 / fan-in keeps the scale from layer to layer.
    const fanIn = into * kernel * kernel;
    const weights = Float32Array.from(
      { length: out * fanIn },
      () => (random() - 0.5) * Math.sqrt(24 / fanIn),
    );
    const pad = (kernel - 1) / 2;
    return op(
      'Conv',
      [from, constant([out, into, kernel, kernel], weights), constant([out], new Float32Array(out))],
      { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [pad, pad, pad, pad] },
    );
  }

  function block(from: string, into: number, out: number): string {
    const stride = into === out ? 1 : 2;
    const first = op('Relu', [convolve({ from, channels: [into, out], kernel: 3, stride })]);
    const second = convolve({ from: first, channels: [out, out], kernel: 3, stride: 1 });
    const short = into === out ? from : convolve({ from, channels: [into, out], kernel: 1, stride });
    return op('Relu', [op('Add', [second, short])]);
  }

  const floats = op('Cast', ['pixels'], { to: 1 });
  const centred = op('Sub', [floats, constant([], Float32Array.of(127.5))]);
  const scaled = op('Mul', [centred, constant([], Float32Array.of(1 / 64))]);
  const planes = op('Transpose', [scaled], { perm: [0, 3, 1, 2] });
  let x = op('Relu', [convolve({ from: planes, channels: [3, 64], kernel: 7, stride: 2 })]); // [n, 64, 112, 112]
  x = op('MaxPool', [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }); // [n, 64, 56, 56]
  let width = 64;
  for (const out of [64, 128, 256, 512]) {
    x = block(block(x, width, out), out, out);
    width = out;
  }
  const pooled = op('Flatten', [op('GlobalAveragePool', [x])]); // [n, 512]
  nodes.push(
    node('LpNormalization', { inputs: [pooled], outputs: ['embeddings'], attributes: { axis: 1, p: 2 } }),
  );
  return encodeModel(
    model({
      name: 'resnet18',
      inputs: [tensorInfo({ name: 'pixels', elementType: 'uint8', dims: ['n', size, size, 3] })],
      outputs: [tensorInfo({ name: 'embeddings', elementType: 'float32', dims: ['n', dimension] })],
      nodes,
      initializers: constants,
    }),
  );
}
