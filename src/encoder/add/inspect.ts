import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { NearvoteError } from '../../domain/errors.js';
import { opsetOf, producersOf, tensorTypeOf } from '../../onnx/graph.js';
import { decodeModel, type NodeProto, type ValueInfoProto } from '../../onnx/model.js';
import { readEncoderFile } from '../manifest.js';
import { externalFilesOf } from './external-data.js';
import { described, findSignature, givenInputs } from './signature.js';

export interface Inspection {
  readonly format: string;
  /** With type and shape each: `pixel_values: float32 [batch,3,224,224]`. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** What else `--output` may name, with what computes it, the nearest to the outputs first. */
  readonly inside: readonly string[];
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
  const producers = producersOf(model.graph);
  const inside = nearestFirst(
    model.graph.output.map(({ name }) => name),
    (value) => (producers.get(value)?.input ?? []).filter((one) => computes(producers.get(one))),
  );
  return {
    format: `ONNX, opset ${opsetOf(model)}`,
    inputs: inputs.map(described),
    outputs: model.graph.output.map(described),
    inside: inside.map((value) => `${value} (${producers.get(value)?.opType})`),
    weightsIn,
    layout,
    size: width === undefined || height === undefined ? undefined : `${width}x${height}`,
    refusedBecause,
  };
}

/** A classifier's features are a few steps before its scores. */
export const mostInside = 6;

/** What the outputs are computed from, by the number of steps; `inputsOf` tells what one value is. */
export function nearestFirst(
  outputs: readonly string[],
  inputsOf: (value: string) => readonly string[],
): string[] {
  const found = new Set(outputs);
  for (const value of found) {
    if (found.size >= outputs.length + mostInside) break;
    for (const one of inputsOf(value)) found.add(one);
  }
  return [...found].slice(outputs.length, outputs.length + mostInside);
}

function computes(node: NodeProto | undefined): boolean {
  return node !== undefined && node.opType !== 'Constant';
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
