import type { io, LayersModel, SymbolicTensor, Tensor } from '@tensorflow/tfjs';
import { NearvoteError } from '../../domain/errors.js';
import type { TensorFlow } from '../tensorflow.js';
import type { Token } from './added-nodes.js';
import {
  endsOf,
  type Graph,
  graphOf,
  nodeOf,
  onlyNeeded,
  shapeOf,
  type StoredWeight,
  typeOf,
  withBack,
  withFront,
} from './tfjs-graph.js';
import { inOurWords, unsupported, usage } from './tfjs-errors.js';
import type { WrapOptions } from './wrap.js';

export interface WrapTfjsOptions extends WrapOptions {
  readonly tf: TensorFlow;
  readonly artifacts: io.ModelArtifacts;
  /** The weights of these artifacts, one by one. */
  readonly weights: readonly StoredWeight[];
}

export interface WrappedTfjs {
  readonly input: string;
  readonly output: string;
  readonly dimension: number;
  readonly artifacts: io.ModelArtifacts;
}

/**
 * Wraps a TensorFlow.js model made elsewhere into the encoder contract.
 * @throws NearvoteError `encoder_unsupported` naming the operation or layer that TensorFlow.js has not, `encoder_invalid`,
 * or `usage` for options that do not fit the model
 */
export async function wrapTfjs(options: WrapTfjsOptions): Promise<WrappedTfjs> {
  if (options.preprocessing.layout !== 'nhwc') {
    throw usage('Expected --layout nhwc for a TensorFlow.js model, whose images are [n, height, width, 3]');
  }
  try {
    return options.artifacts.format === 'graph-model' ? await wrapGraph(options) : await wrapLayers(options);
  } catch (cause) {
    throw cause instanceof NearvoteError ? cause : inOurWords(cause);
  }
}

async function wrapGraph(options: WrapTfjsOptions): Promise<WrappedTfjs> {
  const { tf, artifacts, weights, width, height, preprocessing, token } = options;
  const whole = graphOf(artifacts.modelTopology, weights);
  const names = new Set(whole.nodes.map(({ name }) => name));
  const prefix = unused('nearvote', (name) => [...names].some((one) => one.startsWith(`${name}/`))) + '/';
  const [pixels, embeddings] = ['pixels', 'embeddings'].map((name) => unused(name, (one) => names.has(one)));
  if (pixels === undefined || embeddings === undefined) throw new RangeError('Expected two names');
  const ends = declaredOutputs(artifacts) ?? endsOf(whole);
  const chosen = options.output === undefined ? ends : [nodeOf(options.output)];
  const isThere = chosen.every((name) => names.has(name));
  const needed = onlyNeeded(whole, isThere ? chosen : ends);
  const images = needed.nodes.filter(({ op }) => op === 'Placeholder');
  const [image] = images;
  if (image === undefined || images.length > 1) {
    throw unsupported(
      `Expected one input, the image, but received ${images.map(({ name }) => name).join(' and ') || 'none'}`,
    );
  }
  checkImage({ name: image.name, shape: shapeOf(image), type: typeOf(image) }, options);
  const graph = withFront(needed, { pixels, image, width, height, preprocessing, prefix });
  const shapes = await tryGraph(graph, { tf, ends: isThere ? chosen : ends, width, height, pixels });
  const [features] = chosen;
  const dims = features === undefined ? undefined : shapes.get(features);
  if (features === undefined || dims === undefined || chosen.length > 1)
    throw chooseOutput(shapes, options.output);
  const wrapped = withBack(graph, { features, ...poolingOf(dims, token), embeddings, prefix });
  return {
    input: pixels,
    output: embeddings,
    dimension: dims.at(-1) ?? 0,
    artifacts: artifactsOf(wrapped),
  };
}

/** Of a signature, which newer converters write into the model's metadata. */
export function declaredOutputs(artifacts: io.ModelArtifacts): string[] | undefined {
  const { signature = artifacts.userDefinedMetadata?.['signature'] } = artifacts;
  const { outputs = {} } = (signature ?? {}) as { outputs?: Record<string, { name?: string }> };
  const names = Object.entries(outputs).map(([key, { name = key }]) => nodeOf(name));
  return names.length === 0 ? undefined : names;
}

interface TryOptions {
  readonly tf: TensorFlow;
  readonly ends: readonly string[];
  readonly width: number;
  readonly height: number;
  readonly pixels: string;
}

/** The shapes of these nodes for one grey image. */
async function tryGraph(graph: Graph, options: TryOptions): Promise<Map<string, number[]>> {
  const { tf, ends, width, height, pixels } = options;
  const model = await tf.loadGraphModel({ load: () => Promise.resolve(artifactsOf(graph)) });
  try {
    const shapes = new Map<string, number[]>();
    tf.tidy(() => {
      const grey = tf.fill([1, height, width, 3], 127, 'int32');
      const results = model.execute({ [pixels]: grey }, [...ends]);
      for (const [i, result] of (Array.isArray(results) ? results : [results]).entries()) {
        shapes.set(ends[i] ?? '', result.shape);
      }
    });
    return shapes;
  } finally {
    model.dispose();
  }
}

function artifactsOf({ nodes, weights, rest }: Graph): io.ModelArtifacts {
  return {
    format: 'graph-model',
    modelTopology: { ...rest, node: nodes },
    weightSpecs: weights.map(({ spec }) => spec),
    weightData: new Uint8Array(Buffer.concat(weights.map(({ bytes }) => bytes))).buffer,
  };
}

async function wrapLayers(options: WrapTfjsOptions): Promise<WrappedTfjs> {
  const { tf, artifacts, width, height, preprocessing, token } = options;
  const model = await tf.loadLayersModel({ load: () => Promise.resolve(artifacts) });
  try {
    const [image, ...others] = model.inputs;
    if (image === undefined || others.length > 0) {
      throw unsupported(
        `Expected one input, the image, but received ${model.inputs.map(({ name }) => name).join(' and ')}`,
      );
    }
    checkImage({ name: image.name, shape: image.shape.map((dim) => dim ?? -1), type: 'float' }, options);
    const features = outputOf(model, options.output);
    const dims = features.shape.map((dim) => dim ?? -1);
    const { meanOver, first } = poolingOf(dims, token);
    if (first) {
      throw unsupported(
        'Expected --token mean for a layers model: TensorFlow.js has no layer that takes a token out',
      );
    }
    const pixels = tf.input({ shape: [height, width, 3], name: 'pixels' });
    const front = tf.layers.conv2d({ filters: 3, kernelSize: 1, name: 'nearvote_preprocessing' });
    const prepared = front.apply(pixels) as SymbolicTensor;
    const frontValues = frontWeights(tf, preprocessing);
    front.setWeights(frontValues);
    tf.dispose(frontValues);
    const trunk = tf.model({ inputs: model.inputs, outputs: features, name: 'nearvote_trunk' });
    let rows = trunk.apply(prepared) as SymbolicTensor;
    if (meanOver.length === 2) rows = tf.layers.globalAveragePooling2d({}).apply(rows) as SymbolicTensor;
    if (meanOver.length === 1) rows = tf.layers.globalAveragePooling1d({}).apply(rows) as SymbolicTensor;
    const wrapped = await saved(tf.model({ inputs: pixels, outputs: rows }));
    front.dispose();
    return { input: 'pixels', output: 'embeddings', dimension: dims.at(-1) ?? 0, artifacts: wrapped };
  } finally {
    model.dispose();
  }
}

/** A convolution of one pixel scales, shifts and reorders colours at once. */
function frontWeights(
  tf: TensorFlow,
  { channels, scale, mean, std }: WrapOptions['preprocessing'],
): Tensor[] {
  const kernel = new Float32Array(9); // [in, out]
  for (const [to, one] of std.entries())
    kernel[(channels === 'bgr' ? 2 - to : to) * 3 + to] = 1 / (scale * one);
  const bias = std.map((one, i) => -(mean[i] ?? 0) / one);
  return [tf.tensor4d(kernel, [1, 1, 3, 3]), tf.tensor1d(bias)];
}

function outputOf(model: LayersModel, wanted: string | undefined): SymbolicTensor {
  const shapes = new Map(
    model.outputs.map(({ name, shape }, i) => [model.outputNames[i] ?? name, shape.map((dim) => dim ?? -1)]),
  );
  if (wanted === undefined) {
    const [only, ...others] = model.outputs;
    if (only === undefined || others.length > 0) throw chooseOutput(shapes, wanted);
    return only;
  }
  const layer = model.layers.find(({ name }) => name === wanted);
  if (layer === undefined) throw chooseOutput(shapes, wanted);
  const { output } = layer;
  if (Array.isArray(output))
    throw unsupported(`Expected one output of layer ${wanted} but it has ${output.length}`);
  return output;
}

async function saved(model: LayersModel): Promise<io.ModelArtifacts> {
  let artifacts: io.ModelArtifacts | undefined;
  await model.save({
    save: (given) => {
      artifacts = given;
      return Promise.resolve({ modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } });
    },
  });
  if (artifacts === undefined) throw new RangeError('Expected TensorFlow.js to give what it saves');
  return { ...artifacts, format: 'layers-model' };
}

interface ImageInput {
  readonly name: string;
  readonly shape: readonly number[] | undefined;
  readonly type: 'float' | 'int' | 'other';
}

function checkImage({ name, shape, type }: ImageInput, { width, height, preprocessing }: WrapOptions): void {
  const expected = [height, width, 3];
  const described = `${name}${shape === undefined ? '' : ` [${shape.join(',')}]`}`;
  if (shape !== undefined && shape.length !== 4) {
    throw unsupported(`Expected an image [n, height, width, 3] as input but received ${described}`);
  }
  if (shape !== undefined && !expected.every((dim, i) => shape[i + 1] === -1 || shape[i + 1] === dim)) {
    throw usage(`Expected an input [n,${expected.join(',')}] (--size) but the model takes ${described}`);
  }
  if (type === 'other')
    throw unsupported(`Expected an image of numbers as input but received ${described} of another type`);
  const { scale, mean, std } = preprocessing;
  const isPlain = scale === 1 && mean.every((one) => one === 0) && std.every((one) => one === 1);
  if (type === 'int' && !isPlain) {
    throw usage(
      `Expected --scale 1 --mean 0 --std 1, since ${name} takes whole numbers, the pixels as they are`,
    );
  }
}

/** How `[n, d]`, `[n, tokens, d]` or `[n, h, w, d]` becomes `[n, d]`. */
function poolingOf(dims: readonly number[], token: Token | undefined) {
  if (dims.length !== 3 && token !== undefined) {
    throw usage(`Expected --token with an output [n, tokens, d] only but it is [${dims.join(',')}]`);
  }
  if (dims.length === 2) return { meanOver: [], first: false };
  if (dims.length === 4) return { meanOver: [1, 2], first: false };
  if (dims.length !== 3) {
    throw unsupported(
      `Expected an output [n, d], [n, tokens, d] or [n, h, w, d] but received [${dims.join(',')}]`,
    );
  }
  if (token === undefined)
    throw usage(`Expected --token cls or mean for an output [n, tokens, d], here [${dims.join(',')}]`);
  return token === 'mean' ? { meanOver: [1], first: false } : { meanOver: [], first: true };
}

function chooseOutput(
  shapes: ReadonlyMap<string, readonly number[]>,
  wanted: string | undefined,
): NearvoteError {
  const listed = [...shapes]
    .map(([name, dims]) => `${name} [${['n', ...dims.slice(1)].join(',')}]`)
    .join(', ');
  return usage(
    wanted === undefined
      ? `Expected --output, one of ${listed}`
      : `Expected --output to name an output (${listed}) or a value inside the model but received ${wanted}`,
  );
}

function unused(name: string, isTaken: (name: string) => boolean): string {
  return isTaken(name) ? unused(`${name}_`, isTaken) : name;
}
