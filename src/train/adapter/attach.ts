import { NearvoteError } from '../../domain/errors.js';
import { backOf } from '../../encoder/add/added-nodes.js';
import type { EncoderManifest } from '../../encoder/manifest.js';
import { openOnnxEncoder } from '../../encoder/onnx-runtime.js';
import { keepOnlyNeeded, namesIn, opsetOf, renameValue, unusedPrefix } from '../../onnx/graph.js';
import { decodeModel, encodeModel, tensorInfo } from '../../onnx/model.js';
import { createTape } from '../graph/tape.js';
import { adapted, constantWeights, runAdapter, type FrozenAdapter } from './adapter.js';
import type { Backbone } from './backbone.js';

const pixels = 'pixels';
const embeddings = 'embeddings';

export interface AttachOptions {
  /** The .onnx file. */
  readonly model: Uint8Array;
  readonly manifest: Pick<EncoderManifest, 'input' | 'output'>;
  readonly adapter: FrozenAdapter;
}

/**
 * The backbone with the adapter behind it as one model of the encoder contract: uint8 `pixels` `[n, h, w, 3]` in, unit
 * float32 `embeddings` `[n, dimension]` out.
 * @throws NearvoteError `encoder_invalid` where the backbone's bytes are no model
 */
export function attachAdapter({ model: bytes, manifest, adapter }: AttachOptions): Uint8Array {
  const model = decodeModel(bytes);
  const { graph } = model;
  const { input, output } = manifest;
  const { kind, features: width, dimension } = adapter.shape;
  const prefix = unusedPrefix(namesIn(graph));
  // Whatever has the names of the contract makes room for them.
  const moved = (name: string): string => (name === pixels || name === embeddings ? prefix + name : name);
  for (const from of [pixels, embeddings]) renameValue(graph, { from, to: moved(from) });
  renameValue(graph, { from: moved(input.name), to: pixels });
  const features = moved(output.name);
  keepOnlyNeeded(graph, [features]);
  graph.input = [
    tensorInfo({ name: pixels, elementType: 'uint8', dims: ['n', input.height, input.width, 3] }),
  ];
  // From this version on, constants need not be inputs too.
  if (model.irVersion < 4n) model.irVersion = 4n;

  const tape = createTape();
  const parameter = constantWeights(tape, adapter);
  const made = adapted(tape, { name: features, shape: [1, width] }, { ...adapter, kind, parameter });
  const named = (name: string): string => (name === features ? name : `${prefix}adapter/${name}`);
  for (const one of tape.nodes) {
    one.name = named(one.name);
    one.input = one.input.map(named);
    one.output = one.output.map(named);
  }
  for (const one of tape.constants) one.name = named(one.name);
  const back = backOf({
    features: { name: named(made.name), type: 'float32', dims: [1, dimension] },
    embeddings,
    token: undefined,
    layout: 'nchw',
    opset: opsetOf(model),
    prefix,
  });
  // The names of nodes must differ too, and the backbone may have been written by the same hand.
  for (const one of back.nodes) one.name = `${prefix}${one.name}`;
  graph.node.push(...tape.nodes, ...back.nodes);
  graph.initializer.push(...tape.constants, ...back.initializers);
  graph.output = [tensorInfo({ name: embeddings, elementType: 'float32', dims: ['n', dimension] })];
  return encodeModel(model);
}

const tolerance = 1e-5;

export interface ProveOptions {
  readonly backbone: Pick<Backbone, 'manifest' | 'encoder'>;
  readonly adapter: FrozenAdapter;
  /** What `attachAdapter` made of both. */
  readonly model: Uint8Array;
  /** uint8 RGB `[count, height, width, 3]` */
  readonly pixels: Uint8Array;
  readonly count: number;
}

/**
 * Embeds images with the whole model, and with backbone and adapter one after the other.
 * @throws NearvoteError `encoder_unsupported` when they differ by more than 1e-5
 */
export async function proveAttached(options: ProveOptions): Promise<void> {
  const { backbone, adapter, model, pixels, count } = options;
  const { dimension } = adapter.shape;
  const manifest: EncoderManifest = {
    ...backbone.manifest,
    input: { ...backbone.manifest.input, name: 'pixels' },
    output: { name: 'embeddings', dimension },
  };
  const apart = await runAdapter(adapter, await backbone.encoder.embed(pixels, count), { threads: 1 });
  const whole = await openOnnxEncoder({ manifest, bytes: model, threads: 1 });
  try {
    const { values } = await whole.embed(pixels, count);
    const most = values.reduce(
      (max, value, i) => Math.max(max, Math.abs(value - (apart.values[i] ?? NaN))),
      0,
    );
    if (most <= tolerance) return;
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected the backbone ${backbone.manifest.name} and its adapter to embed alike in one model and one after the ` +
        `other but they differ by ${most.toPrecision(2)}`,
    );
  } finally {
    await whole.close();
  }
}
