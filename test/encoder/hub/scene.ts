import { readdir } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import type { Progress } from '../../../src/domain/progress.js';
import { type PullOptions, pullEncoder } from '../../../src/encoder/hub/pull.js';
import type { HubSettings } from '../../../src/encoder/hub/settings.js';
import { encodeModel, type GraphModel } from '../../../src/onnx/model.js';
import { foreignModel, height, width } from '../add/foreign-network.js';
import { emptyFolder } from '../folder.js';
import { type LocalHub, localHub, settingsFor } from './local-hub.js';

const silent = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const processor = {
  image_processor_type: 'ViTImageProcessor',
  do_resize: true,
  size: { height, width },
  resample: 3,
  do_normalize: true,
  image_mean: [0.5, 0.25, 0.75],
  image_std: [0.5, 0.25, 0.2],
};
const card = '---\nlicense: apache-2.0\ndatasets:\n- imagenet-1k\n---\n# A tiny one\n';

/** What a repository of a tiny vision transformer or convolutional network holds. */
export function repositoryOf(
  modelType: string,
  features: 'pooled' | 'tokens' | 'class-token' = 'pooled',
): Record<string, Uint8Array | string> {
  return filesOf(modelType, hubModel(features));
}

/** The network with the output that transformers gives it. */
export function hubModel(features: 'pooled' | 'tokens' | 'class-token' = 'pooled'): GraphModel {
  const proto = foreignModel({ features });
  const output = features === 'pooled' ? 'pooler_output' : 'last_hidden_state';
  for (const one of proto.graph.node)
    one.output = one.output.map((name) => (name === 'features' ? output : name));
  for (const one of proto.graph.output) one.name = output;
  // Long enough to be cut in two.
  proto.docString = 'tiny '.repeat(40_000);
  return proto;
}

export function filesOf(modelType: string, proto: GraphModel): Record<string, Uint8Array | string> {
  return {
    'README.md': card,
    'config.json': JSON.stringify({ model_type: modelType }),
    'preprocessor_config.json': JSON.stringify(processor),
    'onnx/model.onnx': encodeModel(proto),
  };
}

export interface Scene {
  readonly hub: LocalHub;
  readonly dir: string;
  readonly cache: string;
  readonly notes: string[];
  readonly out: string;
  readonly pull: (
    changes?: Partial<PullOptions>,
    settings?: Partial<HubSettings>,
  ) => ReturnType<typeof pullEncoder>;
}

export async function scene(files?: Record<string, Uint8Array | string>): Promise<Scene> {
  const [hub, dir] = [await localHub(), await emptyFolder()];
  if (files !== undefined) hub.put(files);
  const [cache, out] = [join(dir, 'cache'), join(dir, 'models', 'foreign')];
  const notes: string[] = [];
  return {
    ...{ hub, dir, cache, notes, out },
    pull: (changes = {}, settings = {}) =>
      pullEncoder({
        ...{ model: 'owner/tiny', dtype: 'fp32', dir: out, force: false, progress: silent },
        note: (remark) => void notes.push(remark),
        settings: settingsFor(hub, cache, settings),
        ...changes,
      }),
  };
}

/**
 * Sends half of the model once and no more; what it gives is to be called when that half has arrived, and cuts the
 * connection.
 */
export function holdHalf(hub: LocalHub, bytes: Uint8Array): () => void {
  let held: ServerResponse | undefined;
  hub.answerFirst('storage', (_request, response) => {
    if (held !== undefined) return false;
    held = response;
    response.writeHead(200, { 'content-length': bytes.length });
    response.write(bytes.subarray(0, bytes.length >> 1));
    return true;
  });
  return () => void held?.destroy();
}

/** Calls `then` as soon as a model has begun to arrive, which the papers beside it do not reach. */
export function whenHalfIsHere(bytes: Uint8Array, then: () => void): Progress {
  let done = 0;
  return {
    ...silent,
    start: () => void (done = 0),
    advance: (by) => {
      done += by;
      if (done >= Math.floor((bytes.length >> 1) / 1000)) then();
    },
  };
}

export async function filesBelow(dir: string): Promise<string[]> {
  return (await readdir(dir, { recursive: true })).sort();
}
