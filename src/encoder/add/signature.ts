import { NearvoteError } from '../../domain/errors.js';
import { opsetOf, tensorTypeOf } from '../../onnx/graph.js';
import type { GraphModel, ValueInfoProto } from '../../onnx/model.js';
import { elementTypes } from '../../onnx/tensor.js';

export type Layout = 'nchw' | 'nhwc';

export interface SignatureOptions {
  readonly width: number;
  readonly height: number;
  readonly layout: Layout;
  /** An output, or any value inside the graph; may be left out where there is one output. */
  readonly output?: string | undefined;
}

/** What of a model made elsewhere is wrapped. */
export interface Signature {
  readonly input: string;
  readonly inputType: 'float32' | 'float16';
  /** Exported for one image at a time. */
  readonly batchIsOne: boolean;
  readonly output: string;
}

const oldestOpset = 11;

/**
 * Finds the image input and the output to embed with.
 * @throws NearvoteError `encoder_unsupported` for a model that cannot be wrapped, `usage` for options that do not fit it
 */
export function findSignature(model: GraphModel, options: SignatureOptions): Signature {
  const opset = opsetOf(model);
  if (opset < oldestOpset) {
    throw unsupported(
      `Expected opset ${oldestOpset} or later but received ${opset}: export it with opset 17`,
    );
  }
  return { ...findInput(model, options), output: findOutput(model, options.output) };
}

function findInput(model: GraphModel, options: SignatureOptions): Omit<Signature, 'output'> {
  const inputs = givenInputs(model);
  const [input] = inputs;
  if (input === undefined || inputs.length > 1) {
    throw unsupported(`Expected one input, the image, but received ${listed(inputs)}`);
  }
  const type = tensorTypeOf(input);
  const inputType = (['float32', 'float16'] as const).find(
    (name) => elementTypes[name] === type?.elementType,
  );
  if (inputType === undefined) {
    throw unsupported(`Expected a float32 or float16 image as input but received ${described(input)}`);
  }
  const dims = type?.dims ?? ['', '', '', ''];
  const { width, height, layout } = options;
  const expected = layout === 'nchw' ? [3, height, width] : [height, width, 3];
  const fits =
    dims.length === 4 && expected.every((dim, i) => typeof dims[i + 1] === 'string' || dims[i + 1] === dim);
  if (!fits) {
    throw new NearvoteError(
      'usage',
      `Expected an input [n,${expected.join(',')}] (--size and --layout ${layout}) but the model takes ${described(input)}`,
    );
  }
  const [batch] = dims;
  if (typeof batch === 'number' && batch > 1) {
    throw unsupported(
      `Expected a free batch dimension but the model takes ${batch} images at once: export it with a dynamic batch`,
    );
  }
  return { input: input.name, inputType, batchIsOne: batch === 1 };
}

/** What a model is given when it runs: before IR version 4 every constant is listed as an input too. */
export function givenInputs({ graph }: GraphModel): ValueInfoProto[] {
  const constants = new Set(graph.initializer.map(({ name }) => name));
  return graph.input.filter(({ name }) => !constants.has(name));
}

function findOutput({ graph }: GraphModel, wanted: string | undefined): string {
  const [only, ...others] = graph.output;
  if (wanted === undefined) {
    if (only === undefined || others.length > 0) {
      throw new NearvoteError('usage', `Expected --output, one of ${listed(graph.output)}`);
    }
    return only.name;
  }
  if (!graph.node.some((node) => node.output.includes(wanted))) {
    throw new NearvoteError(
      'usage',
      `Expected --output to name an output (${listed(graph.output)}) or a value inside the model but received ${wanted}`,
    );
  }
  return wanted;
}

/** Inputs or outputs with their types and shapes, for an error. */
export function listed(values: readonly ValueInfoProto[]): string {
  return values.length === 0 ? 'none' : values.map(described).join(' and ');
}

/** Name, type and shape. */
export function described(value: ValueInfoProto): string {
  const type = tensorTypeOf(value);
  if (type === undefined) return `${value.name} (not a tensor)`;
  const name = Object.entries(elementTypes).find(([, number]) => number === type.elementType)?.[0];
  const dims = type.dims?.map((dim) => (dim === '' ? '?' : dim)).join(',') ?? '...';
  return `${value.name}: ${name ?? `element type ${type.elementType}`} [${dims}]`;
}

function unsupported(message: string): NearvoteError {
  return new NearvoteError('encoder_unsupported', message);
}
