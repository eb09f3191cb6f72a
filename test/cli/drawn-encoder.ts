import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeModel, model, node, tensorInfo } from '../../src/onnx/model.js';
import { initializer } from '../../src/onnx/tensor.js';
import { writeManifest } from '../encoder/folder.js';

export interface DrawnEncoderOptions {
  readonly dir: string;
  readonly name: string;
  /** `[3, 2]`: what red, green and blue weigh in each of two features. */
  readonly weights: readonly (readonly [number, number])[];
  /** Fields of its manifest. */
  readonly changes?: object | undefined;
}

/** An encoder that sees an image's mean colour alone: two features of it, at unit length. */
export async function writeDrawnEncoder(options: DrawnEncoderOptions): Promise<void> {
  const { dir, name, weights, changes } = options;
  const float = (of: string, dims: number[], data: readonly number[]): ReturnType<typeof initializer> =>
    initializer({ name: of, elementType: 'float32', dims, data });
  const bytes = encodeModel(
    model({
      name,
      inputs: [tensorInfo({ name: 'pixels', elementType: 'uint8', dims: ['n', 8, 8, 3] })],
      outputs: [tensorInfo({ name: 'embeddings', elementType: 'float32', dims: ['n', 2] })],
      initializers: [
        float('scale', [], [1 / 255]),
        float('weights', [3, 2], weights.flat()),
        // Never of no length.
        float('bias', [2], [0, 0.1]),
      ],
      nodes: [
        node('Cast', { inputs: ['pixels'], outputs: ['x'], attributes: { to: 1 } }),
        node('Mul', { inputs: ['x', 'scale'], outputs: ['scaled'] }),
        node('Transpose', { inputs: ['scaled'], outputs: ['nchw'], attributes: { perm: [0, 3, 1, 2] } }),
        node('GlobalAveragePool', { inputs: ['nchw'], outputs: ['mean'] }),
        node('Flatten', { inputs: ['mean'], outputs: ['colour'] }),
        node('Gemm', { inputs: ['colour', 'weights', 'bias'], outputs: ['features'] }),
        node('ReduceL2', { inputs: ['features'], outputs: ['norm'], attributes: { axes: [1], keepdims: 1 } }),
        node('Div', { inputs: ['features', 'norm'], outputs: ['embeddings'] }),
      ],
    }),
  );
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'encoder.onnx'), bytes);
  await writeManifest(dir, ['encoder.onnx'], {
    ...{ name, output: { name: 'embeddings', dimension: 2 } },
    ...changes,
  });
}
