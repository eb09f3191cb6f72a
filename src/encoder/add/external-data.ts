import { dirname, normalize } from 'node:path';
import { NearvoteError } from '../../domain/errors.js';
import { graphsIn } from '../../onnx/graph.js';
import type { GraphModel, TensorProto } from '../../onnx/model.js';
import { takeIn } from '../../onnx/tensor.js';
import { readEncoderFile } from '../manifest.js';

/** Protocol buffers end at 2 GiB; a megabyte is left for what wrapping adds. */
const mostBytes = 2 ** 31 - 2 ** 20;

/**
 * Moves weights that an exporter left in files beside the model (`model.onnx.data`) into the model.
 * @throws NearvoteError `encoder_missing` for a file that is not there, `encoder_invalid` for one that is too short or
 * outside the model's folder, `encoder_unsupported` past 2 GiB
 */
export async function inlineExternalData(model: GraphModel, modelPath: string): Promise<void> {
  const files = new Map<string, Uint8Array>();
  let total = 0;
  for (const tensor of tensorsOf(model)) {
    if (tensor.externalData.length === 0) continue;
    const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value]));
    const location = entries.get('location') ?? '';
    // A file has many spellings, each of which would be read and held for itself.
    const spelt = normalize(location);
    const file = files.get(spelt) ?? (await readEncoderFile(dirname(modelPath), spelt));
    files.set(spelt, file);
    const offset = Number(entries.get('offset') ?? 0);
    const length = Number(entries.get('length') ?? file.length - offset);
    const data = file.subarray(offset, offset + length);
    if (!(offset >= 0 && length >= 0) || data.length !== length) {
      throw new NearvoteError(
        'encoder_invalid',
        `Expected ${length} bytes of ${tensor.name} at ${offset} of ${location} but it has ${file.length} bytes`,
      );
    }
    total += length;
    if (total > mostBytes) {
      throw new NearvoteError(
        'encoder_unsupported',
        `Expected a model of less than 2 GiB but its weights in ${location} take more: export it in half precision`,
      );
    }
    takeIn(tensor, data);
  }
}

/** The files beside a model that its weights lie in, as it names them. */
export function externalFilesOf(model: GraphModel): string[] {
  const entries = tensorsOf(model).flatMap(({ externalData }) => externalData);
  return [...new Set(entries.flatMap(({ key, value }) => (key === 'location' ? [value] : [])))];
}

function tensorsOf({ graph, functions }: GraphModel): TensorProto[] {
  const nodes = [...graphsIn(graph).flatMap(({ node }) => node), ...functions.flatMap(({ node }) => node)];
  const attributes = nodes.flatMap(({ attribute }) => attribute);
  return [
    ...graphsIn(graph).flatMap(({ initializer }) => initializer),
    ...attributes.flatMap(({ t, tensors }) => (t === undefined ? tensors : [t, ...tensors])),
  ];
}
