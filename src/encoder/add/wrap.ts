import { messageOf, NearvoteError } from '../../domain/errors.js';
import { keepOnlyNeeded, namesIn, opsetOf, renameValue, unusedPrefix } from '../../onnx/graph.js';
import { encodeModel, type GraphModel, tensorInfo, untypedInfo } from '../../onnx/model.js';
import { openSession, type Session, Tensor } from '../../onnx/session.js';
import { backOf, frontOf, type GraphPart, type Preprocessing, type Token } from './added-nodes.js';
import { freeBatch } from './free-batch.js';
import { findSignature } from './signature.js';

const pixels = 'pixels';
const embeddings = 'embeddings';

export interface WrapOptions {
  readonly width: number;
  readonly height: number;
  readonly preprocessing: Preprocessing;
  readonly output?: string | undefined;
  readonly token?: Token | undefined;
}

export interface WrappedModel {
  /** uint8 `pixels` `[n, height, width, 3]` in, unit float32 `embeddings` `[n, dimension]` out. */
  readonly bytes: Uint8Array;
  /** The same before a fixed batch of one was lifted: right for one image. `bytes` itself where none was. */
  readonly forOneImage: Uint8Array;
  readonly batchWasOne: boolean;
  readonly dimension: number;
}

/**
 * Wraps a model made elsewhere into the encoder contract; `model` is rewritten and not to be used afterwards.
 * @throws NearvoteError `encoder_unsupported`, `encoder_invalid`, or `usage` for options that do not fit the model
 */
export async function wrapModel(model: GraphModel, options: WrapOptions): Promise<WrappedModel> {
  const { width, height, preprocessing } = options;
  const { layout } = preprocessing;
  const { graph } = model;
  const signature = findSignature(model, { width, height, layout, output: options.output });
  const prefix = unusedPrefix(namesIn(graph));
  const moved = (name: string): string => (name === pixels || name === embeddings ? prefix + name : name);
  for (const from of [pixels, embeddings]) renameValue(graph, { from, to: moved(from) });
  const features = moved(signature.output);

  keepOnlyNeeded(graph, [features]);
  graph.input = [tensorInfo({ name: pixels, elementType: 'uint8', dims: ['n', height, width, 3] })];
  graph.output = [untypedInfo(features)];
  // From this version on, constants need not be inputs too.
  if (model.irVersion < 4n) model.irVersion = 4n;
  const front = frontOf({
    pixels,
    image: moved(signature.input),
    imageType: signature.inputType,
    preprocessing,
    prefix,
  });
  graph.node.unshift(...front.nodes);
  graph.initializer.push(...front.initializers);

  // What the model's own output is, few exports declare in full.
  const grey = new Uint8Array(height * width * 3).fill(127);
  const trial = { width, height, pixels, output: features, images: [grey] };
  const [seen] = await tryImages(encodeModel(model), trial);
  if (seen === undefined) throw new RangeError('Expected one output for one image');
  const back = backOf({
    features: { name: features, type: seen.type, dims: seen.dims },
    embeddings,
    token: options.token,
    layout,
    opset: opsetOf(model),
    prefix,
  });
  append(model, back);
  const dimension = dimensionOf(seen.dims, layout);
  graph.output = [tensorInfo({ name: embeddings, elementType: 'float32', dims: ['n', dimension] })];
  const forOneImage = encodeModel(model);
  const described = { batchWasOne: signature.batchIsOne, dimension };
  if (!signature.batchIsOne) return { bytes: forOneImage, forOneImage, ...described };
  freeBatch(graph, { pixels, prefix });
  return { bytes: encodeModel(model), forOneImage, ...described };
}

function append({ graph }: GraphModel, { nodes, initializers }: GraphPart): void {
  graph.node.push(...nodes);
  graph.initializer.push(...initializers);
}

/** `[n, d]`, `[n, tokens, d]`, `[n, c, h, w]` or, in an nhwc model, `[n, h, w, c]`. */
function dimensionOf(dims: readonly number[], layout: Preprocessing['layout']): number {
  const axis = dims.length === 4 && layout === 'nchw' ? 1 : dims.length - 1;
  return dims[axis] ?? 0;
}

export interface TrialOptions {
  readonly width: number;
  readonly height: number;
  /** The input's name. */
  readonly pixels: string;
  readonly output: string;
  /** RGB `[height, width, 3]` each; each is run by itself. */
  readonly images: readonly Uint8Array[];
}

/**
 * Runs a model on one image at a time, before anything is known of its output.
 * @throws NearvoteError `encoder_invalid` with ONNX Runtime's own words when it does not run
 */
export async function tryImages(bytes: Uint8Array, options: TrialOptions): Promise<Tensor[]> {
  const { width, height, pixels, output, images } = options;
  let session: Session | undefined;
  try {
    session = await openSession({ model: bytes, threads: 1 });
    const results: Tensor[] = [];
    for (const image of images) {
      const input = new Tensor('uint8', image, [1, height, width, 3]);
      const result = (await session.run({ [pixels]: input }))[output];
      if (result === undefined) throw new Error(`it did not give ${output}`);
      results.push(result);
    }
    return results;
  } catch (cause) {
    throw new NearvoteError(
      'encoder_invalid',
      `Expected a model that ONNX Runtime can run on one image of ${width} x ${height} but it said: ${messageOf(cause)}`,
      { cause },
    );
  } finally {
    await session?.release();
  }
}
