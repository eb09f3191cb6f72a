import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import type { ServerResponse } from 'node:http';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Progress } from '../../../src/domain/progress.js';
import { type PullOptions, pullEncoder } from '../../../src/encoder/hub/pull.js';
import type { HubSettings } from '../../../src/encoder/hub/settings.js';
import { encodeModel } from '../../../src/onnx/model.js';
import { expectByHand, foreignModel, height, width } from '../add/foreign-network.js';
import { emptyFolder } from '../folder.js';
import { commits, type LocalHub, localHub, settingsFor, sha256 } from './local-hub.js';

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
function repositoryOf(
  modelType: string,
  features: 'pooled' | 'tokens' | 'class-token' = 'pooled',
): Record<string, Uint8Array | string> {
  const proto = foreignModel({ features });
  const output = features === 'pooled' ? 'pooler_output' : 'last_hidden_state';
  for (const one of proto.graph.node)
    one.output = one.output.map((name) => (name === 'features' ? output : name));
  for (const one of proto.graph.output) one.name = output;
  // Long enough to be cut in two.
  proto.docString = 'tiny '.repeat(40_000);
  return {
    'README.md': card,
    'config.json': JSON.stringify({ model_type: modelType }),
    'preprocessor_config.json': JSON.stringify(processor),
    'onnx/model.onnx': encodeModel(proto),
  };
}

interface Scene {
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

async function scene(files?: Record<string, Uint8Array | string>): Promise<Scene> {
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
function holdHalf(hub: LocalHub, bytes: Uint8Array): () => void {
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
function whenHalfIsHere(bytes: Uint8Array, then: () => void): Progress {
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

describe('a model pulled from the hub', () => {
  it('is the network computed by hand, of a convolutional one', async () => {
    const files = repositoryOf('convnext');
    const { pull, dir, notes } = await scene(files);
    const { manifest } = await pull();
    await expectByHand(dir);
    expect(manifest).toMatchObject({
      name: 'tiny',
      licence: 'apache-2.0',
      trainedOn: ['imagenet-1k'],
      input: { width, height },
      source: {
        hub: {
          repository: 'owner/tiny',
          commit: commits[0],
          file: 'onnx/model.onnx',
          sha256: sha256(files['onnx/model.onnx'] as Uint8Array),
        },
      },
    });
    expect(notes).toEqual([]);
  });

  it('is the network computed by hand, of a transformer whose first token is the embedding', async () => {
    const { pull, dir } = await scene(repositoryOf('dinov2', 'tokens'));
    await pull();
    await expectByHand(dir, { take: 'first' });
  });

  it('goes on where the connection was cut, and asks for the rest alone', async () => {
    const files = repositoryOf('convnext');
    const model = files['onnx/model.onnx'] as Uint8Array;
    const { pull, hub, dir } = await scene(files);
    const cut = holdHalf(hub, model);
    await pull({ progress: whenHalfIsHere(model, cut) });
    await expectByHand(dir);
    expect(hub.seen('storage', '?signature=1').map(({ range }) => range)).toEqual([
      undefined,
      `bytes=${model.length >> 1}-`,
    ]);
  });

  it('is refused when its bytes have another digest, and neither they nor an encoder are kept', async () => {
    const files = repositoryOf('convnext');
    const { pull, hub, cache, out } = await scene();
    hub.put(files, { listedAs: { 'onnx/model.onnx': { oid: 'a'.repeat(64) } } });
    await expect(pull()).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringContaining('they are not kept') as string,
    });
    expect(existsSync(out)).toBe(false);
    expect(await filesBelow(cache)).not.toContainEqual(expect.stringMatching(/a{64}/));
  });

  it('never shows the token to the host that a file is redirected to', async () => {
    const { pull, hub } = await scene(repositoryOf('convnext'));
    await pull({}, { token: 'hf_allowed' });
    expect(
      hub.requests.filter(({ host }) => host === 'hub').map(({ authorization }) => authorization),
    ).toEqual(hub.requests.filter(({ host }) => host === 'hub').map(() => 'Bearer hf_allowed'));
    expect(hub.seen('storage', '').map(({ authorization }) => authorization)).toEqual([undefined]);
  });
});

async function filesBelow(dir: string): Promise<string[]> {
  return (await readdir(dir, { recursive: true })).sort();
}
