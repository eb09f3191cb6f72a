import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { NearvoteError } from '../../domain/errors.js';
import { opsetOf, tensorTypeOf } from '../../onnx/graph.js';
import { decodeModel, type ValueInfoProto } from '../../onnx/model.js';
import { readEncoderFile } from '../manifest.js';
import { externalFilesOf } from './external-data.js';
import { described, findSignature, givenInputs } from './signature.js';

export interface Inspection {
  readonly opset: number;
  /** With type and shape each: `pixel_values: float32 [batch,3,224,224]`. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Files beside the model that its weights lie in. */
  readonly weightsIn: readonly string[];
  /** Of the image input, where its shape says so. */
  readonly layout?: 'nchw' | 'nhwc' | undefined;
  /** WIDTHxHEIGHT where the shape says so; undefined where any size goes. */
  readonly size?: string | undefined;
  /** Why `encoder add` does not take it, whatever its options; undefined where it may. */
  readonly refusedBecause?: string | undefined;
}

/**
 * What an ONNX model takes and gives, without running it.
 * @throws NearvoteError `encoder_missing`, `encoder_invalid`, `encoder_unsupported` above 2 GiB
 */
export async function inspectModel(path: string): Promise<Inspection> {
  const model = decodeModel(await readEncoderFile(dirname(path), basename(path)));
  const inputs = givenInputs(model);
  const [first] = inputs;
  const layout = first && layoutOf(first);
  const [width, height] = first ? sizeOf(first, layout ?? 'nchw') : [];
  const weightsIn = externalFilesOf(model);
  let refusedBecause: string | undefined;
  try {
    const output = model.graph.output[0]?.name;
    findSignature(model, { width: width ?? 224, height: height ?? 224, layout: layout ?? 'nchw', output });
    await Promise.all(weightsIn.map((file) => readable(dirname(path), file)));
  } catch (error) {
    if (!(error instanceof NearvoteError)) throw error;
    refusedBecause = error.message;
  }
  return {
    opset: opsetOf(model),
    inputs: inputs.map(described),
    outputs: model.graph.output.map(described),
    weightsIn,
    layout,
    size: width === undefined || height === undefined ? undefined : `${width}x${height}`,
    refusedBecause,
  };
}

async function readable(dir: string, file: string): Promise<void> {
  const found = await stat(`${dir}/${file}`).catch(() => undefined);
  if (found?.isFile() === true) return;
  throw new NearvoteError(
    'encoder_missing',
    `Expected weights in ${file} beside the model but there is none`,
  );
}

/** Where the three colours stand. */
function layoutOf(input: ValueInfoProto): 'nchw' | 'nhwc' | undefined {
  const dims = tensorTypeOf(input)?.dims;
  if (dims?.[1] === 3) return 'nchw';
  return dims?.[3] === 3 ? 'nhwc' : undefined;
}

function sizeOf(input: ValueInfoProto, layout: 'nchw' | 'nhwc'): (number | undefined)[] {
  const dims = tensorTypeOf(input)?.dims ?? [];
  const [height, width] = layout === 'nchw' ? dims.slice(2) : dims.slice(1);
  return [numberOf(width), numberOf(height)];
}

function numberOf(dim: number | string | undefined): number | undefined {
  return typeof dim === 'number' ? dim : undefined;
}
