import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeModel, model, node, tensorInfo } from '../../../src/onnx/model.js';
import { initializer } from '../../../src/onnx/tensor.js';
import { writeManifest } from '../../encoder/folder.js';

export interface TinyBackboneOptions {
  readonly opset?: number;
  readonly input?: string;
  readonly output?: string;
  /** Of the value between, which may have a name that the contract wants. */
  readonly inner?: string;
  readonly size?: number;
}

/** Of the embeddings of `tinyBackbone`. */
export const features = 4;

/** An encoder that sees an image's mean colour alone: red, green, blue (0 to 1) and 0.5, at unit length. */
function tinyBackbone(options: TinyBackboneOptions = {}): Uint8Array {
  const { opset = 17, input = 'pixels', output = 'embeddings', inner = 'features', size = 8 } = options;
  const float = (name: string, dims: number[], data: number[]) =>
    initializer({ name, elementType: 'float32', dims, data });
  const reduction =
    opset < 18
      ? node('ReduceL2', { inputs: [inner], outputs: ['norm'], attributes: { axes: [1], keepdims: 1 } })
      : node('ReduceL2', { inputs: [inner, 'axes'], outputs: ['norm'], attributes: { keepdims: 1 } });
  return encodeModel(
    model({
      name: 'tiny',
      opset,
      inputs: [tensorInfo({ name: input, elementType: 'uint8', dims: ['n', size, size, 3] })],
      outputs: [tensorInfo({ name: output, elementType: 'float32', dims: ['n', features] })],
      initializers: [
        float('scale', [], [1 / 255]),
        float('weights', [3, 4], [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]),
        float('bias', [4], [0, 0, 0, 0.5]),
        ...(opset < 18 ? [] : [initializer({ name: 'axes', elementType: 'int64', dims: [1], data: [1] })]),
      ],
      nodes: [
        node('Cast', { inputs: [input], outputs: ['x'], attributes: { to: 1 } }),
        node('Mul', { inputs: ['x', 'scale'], outputs: ['scaled'] }),
        node('Transpose', { inputs: ['scaled'], outputs: ['nchw'], attributes: { perm: [0, 3, 1, 2] } }),
        node('GlobalAveragePool', { inputs: ['nchw'], outputs: ['mean'] }),
        node('Flatten', { inputs: ['mean'], outputs: ['nearvote/colour'] }),
        node('Gemm', { inputs: ['nearvote/colour', 'weights', 'bias'], outputs: [inner] }),
        reduction,
        node('Div', { inputs: [inner, 'norm'], outputs: [output] }),
      ],
    }),
  );
}

/** What it makes of a colour, 0 to 255. */
export function embeddingOf(colour: readonly number[]): number[] {
  const values = [...colour.map((value) => value / 255), 0.5];
  return values.map((value) => value / Math.hypot(...values));
}

/** Writes it as an encoder's folder; `changes` replaces whole fields of its manifest. */
export async function writeTinyBackbone(
  dir: string,
  options: TinyBackboneOptions = {},
  changes: object = {},
): Promise<string> {
  const { input = 'pixels', output = 'embeddings', size = 8 } = options;
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, 'encoder.onnx'), tinyBackbone(options));
  await writeManifest(dir, ['encoder.onnx'], {
    input: { name: input, width: size, height: size, fit: 'fill', kernel: 'cubic' },
    output: { name: output, dimension: features },
    trainedOn: ['colours'],
    licence: 'MIT',
    ...changes,
  });
  return dir;
}
