import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeModel, node, tensorInfo } from '../../../src/onnx/model.js';
import { initializer } from '../../../src/onnx/tensor.js';
import { moveOut } from '../add/external-weights.js';
import { expectByHand, height, width } from '../add/foreign-network.js';
import { emptyFolder } from '../folder.js';
import { commits, nobody, sha256 } from './local-hub.js';
import { filesOf, hubModel, repositoryOf, scene } from './scene.js';

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

  it('never shows the token to the host that a file is redirected to', async () => {
    const { pull, hub } = await scene(repositoryOf('convnext'));
    await pull({}, { token: 'allowed-by-a-mirror' });
    expect(
      hub.requests.filter(({ host }) => host === 'hub').map(({ authorization }) => authorization),
    ).toEqual(hub.requests.filter(({ host }) => host === 'hub').map(() => 'Bearer allowed-by-a-mirror'));
    expect(hub.seen('storage', '').map(({ authorization }) => authorization)).toEqual([undefined]);
  });

  it('brings the weights that lie in another file', async () => {
    const proto = hubModel();
    const weights = moveOut(proto, 'model.onnx_data');
    const { pull, dir, hub } = await scene({
      ...filesOf('convnext', proto),
      'onnx/model.onnx_data': weights,
    });
    await pull();
    await expectByHand(dir);
    expect(hub.seen('hub', '/onnx/model.onnx_data')).toHaveLength(1);
  });

  it('is refused when its weights are said to lie outside the repository', async () => {
    const proto = hubModel();
    moveOut(proto, '../../../../etc/passwd');
    const { pull, out } = await scene(filesOf('convnext', proto));
    await expect(pull()).rejects.toMatchObject({ code: 'encoder_missing' });
    expect(existsSync(out)).toBe(false);
  });

  it('is of one commit, though the branch moves between two calls', async () => {
    const { pull, hub } = await scene();
    hub.put(repositoryOf('convnext'), { commit: commits[0] });
    hub.put({ 'config.json': '{}' }, { commit: commits[1] });
    hub.answerFirst('hub', (request) => {
      if (request.url?.includes('/tree/') === true) hub.moveTo(commits[1]);
      return false;
    });
    expect((await pull()).manifest.source).toMatchObject({ hub: { commit: commits[0] } });
    const paths = hub.requests.filter(({ path }) => /tree|resolve/.test(path)).map(({ path }) => path);
    expect(paths.length).toBeGreaterThan(3);
    for (const path of paths.filter((one) => one.startsWith('/'))) expect(path).toContain(commits[0]);
  });

  it('is another one when its branch has moved, and --force replaces the old', async () => {
    const { pull, hub, dir, out } = await scene();
    hub.put(repositoryOf('dinov2', 'tokens'), { commit: commits[0] });
    hub.put(repositoryOf('convnext'), { commit: commits[1] });
    await pull();
    await expectByHand(dir, { take: 'first' });
    hub.moveTo(commits[1]);
    await expect(pull()).rejects.toMatchObject({ code: 'output_exists' });
    await pull({ force: true });
    await expectByHand(dir);
    const { manifest } = await pull({ model: `owner/tiny@${commits[0]}`, force: true });
    expect(manifest.source).toMatchObject({ hub: { commit: commits[0] } });
    await expectByHand(dir, { take: 'first' });
    expect(await readdir(join(dir, 'models'))).toEqual([basename(out)]);
  });

  it('is not downloaded again, but checked again, when it is in the cache', async () => {
    const files = repositoryOf('convnext');
    const { pull, hub, dir, cache } = await scene(files);
    await pull();
    const downloads = hub.requests.filter(({ path }) => path.includes('/resolve/')).length;
    await pull({ force: true });
    expect(hub.requests.filter(({ path }) => path.includes('/resolve/'))).toHaveLength(downloads);
    const blob = join(cache, 'models--owner--tiny', 'blobs', sha256(files['onnx/model.onnx'] as Uint8Array));
    await writeFile(blob, (await readFile(blob)).fill(0, 100, 120));
    await pull({ force: true });
    expect(hub.seen('storage', '')).toHaveLength(2);
    await expectByHand(dir);
  });

  it("lies in the layout of the Python library's cache", async () => {
    const files = repositoryOf('convnext');
    const { pull, cache } = await scene(files);
    await pull();
    const root = join(cache, 'models--owner--tiny');
    expect(await readFile(join(root, 'refs', 'main'), 'utf8')).toBe(commits[0]);
    const place = join(root, 'snapshots', commits[0], 'onnx', 'model.onnx');
    expect(await readlink(place)).toBe(
      join('..', '..', '..', 'blobs', sha256(files['onnx/model.onnx'] as Uint8Array)),
    );
    const config = Buffer.from(files['config.json'] as string);
    // What `git hash-object` prints.
    const oid = createHash('sha1').update(`blob ${config.length}\0`).update(config).digest('hex');
    expect(await readFile(join(root, 'blobs', oid))).toEqual(config);
  });

  it('is taken from the cache offline, as it was', async () => {
    const { pull, hub, dir } = await scene(repositoryOf('convnext'));
    const online = await pull();
    const asked = hub.requests.length;
    const offline = await pull({ force: true }, { offline: true });
    expect(offline.manifest).toEqual({ ...online.manifest, file: offline.manifest.file });
    expect(hub.requests).toHaveLength(asked);
    await expectByHand(dir);
  });

  it('is taken from the cache where the hub does not answer, which is said', async () => {
    const { pull, notes } = await scene(repositoryOf('convnext'));
    await pull();
    await pull({ force: true }, { endpoint: await nobody() });
    expect(notes).toEqual([expect.stringContaining('what the cache holds is used')]);
  });

  it('is one download, however many pull it at once', async () => {
    const { pull, hub, dir, notes } = await scene(repositoryOf('convnext'));
    const settled = await Promise.allSettled([pull(), pull({ dir: join(dir, 'models', 'second') })]);
    expect(settled.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
    expect(hub.seen('storage', '')).toHaveLength(1);
    expect(notes).toContainEqual(expect.stringContaining('waiting for it'));
    await expectByHand(dir);
  });

  it.each([
    ['cc-by-nc-4.0', 'license: cc-by-nc-4.0'],
    ['dinov3-license', 'license: other\nlicense_name: dinov3-license'],
    ['names no licence', 'library_name: transformers.js'],
  ])('has its licence said before it is downloaded: %s', async (said, head) => {
    const files = { ...repositoryOf('convnext'), 'README.md': `---\n${head}\n---\n` };
    const { pull, hub, notes } = await scene(files);
    const asked: number[] = [];
    await pull({
      note: (remark) => {
        notes.push(remark);
        asked.push(hub.seen('storage', '').length);
      },
    });
    expect(notes).toEqual([expect.stringContaining(said)]);
    expect(asked).toEqual([0]);
  });

  it('is under the licence of the model that it was made from, where its card names none', async () => {
    const files = { ...repositoryOf('convnext'), 'README.md': '---\nbase_model: owner/whole\n---\n' };
    const { pull, hub, notes } = await scene(files);
    hub.put({}, { repository: 'owner/whole' });
    expect((await pull()).manifest.licence).toBe('mit');
    expect(notes).toEqual([]);
    await pull({ force: true }, { offline: true });
    expect(notes).toEqual([expect.stringContaining('owner/whole, which it was made from')]);
  });

  it('is of the type that is asked for, and what there is is named where there is none', async () => {
    const files = repositoryOf('convnext');
    const { pull, hub } = await scene();
    hub.put({
      ...files,
      'onnx/model_fp16.onnx': encodeModel(hubModel()),
      'model_q4.onnx': encodeModel(hubModel()),
    });
    const taken = await pull({ dtype: 'fp16', ...(await elsewhere()) });
    expect(taken.manifest).toMatchObject({
      name: 'tiny-fp16',
      source: { hub: { file: 'onnx/model_fp16.onnx' } },
    });
    const top = await pull({ dtype: 'q4', ...(await elsewhere()) });
    expect(top.manifest.source).toMatchObject({ hub: { file: 'model_q4.onnx' } });
    await expect(pull({ dtype: 'int8' })).rejects.toMatchObject({
      code: 'encoder_missing',
      message: expect.stringMatching(/onnx\/model_fp16\.onnx.*--dtype fp32 or fp16 or q4/) as string,
    });
  });

  it('that is a classifier is embedded by what its last layer reads', async () => {
    const proto = hubModel();
    for (const { output } of proto.graph.node) {
      for (const [i, name] of output.entries()) if (name === 'pooler_output') output[i] = 'read';
    }
    proto.graph.initializer.push(
      initializer({ name: 'classes', elementType: 'float32', dims: [4, 2], data: [1, 2, 3, 4, 5, 6, 7, 8] }),
    );
    proto.graph.node.push(node('MatMul', { inputs: ['read', 'classes'], outputs: ['logits'] }));
    proto.graph.output = [tensorInfo({ name: 'logits', elementType: 'float32', dims: ['batch', 2] })];
    const { pull, dir } = await scene(filesOf('mobilenet_v4', proto));
    expect((await pull()).manifest.output.dimension).toBe(4);
    await expectByHand(dir);
  });

  it("is seen through timm's shortest edge and centre crop where there is no preprocessor_config.json", async () => {
    const files = repositoryOf('convnext');
    const cfg = {
      input_size: [3, height, width],
      crop_pct: 1,
      mean: [0.5, 0.25, 0.75],
      std: [0.5, 0.25, 0.2],
    };
    delete files['preprocessor_config.json'];
    files['config.json'] = JSON.stringify({ architecture: 'mobilenetv3_large_100', pretrained_cfg: cfg });
    const { pull, dir } = await scene(files);
    expect((await pull()).manifest.input.geometry).toMatchObject({ kernel: 'cubic', fit: 'cover' });
    await expectByHand(dir);
  });

  it('of a kind that is not known is refused with its outputs, their shapes and the line to complete', async () => {
    const { pull, out } = await scene(repositoryOf('swin', 'tokens'));
    await expect(pull()).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringMatching(
        /swin.*last_hidden_state: float32 \[batch,t,4\].*nearvote encoder add .*model\.onnx --size 6x4 --fit fill --kernel cubic --mean 0\.5,0\.25,0\.75/,
      ) as string,
    });
    expect(existsSync(out)).toBe(false);
  });

  it('of a known kind whose one output has another name is refused with a line that keeps name, licence and datasets', async () => {
    const files = repositoryOf('convnext', 'tokens');
    const proto = hubModel();
    for (const { output } of proto.graph.node) {
      for (const [i, name] of output.entries()) if (name === 'pooler_output') output[i] = 'features';
    }
    for (const one of proto.graph.output) one.name = 'features';
    const card = "---\nlicense: other\nlicense_name: it's $(theirs)\ndatasets:\n- imagenet-1k\n---\n";
    const { pull } = await scene({ ...files, 'onnx/model.onnx': encodeModel(proto), 'README.md': card });
    const refused: unknown = await pull().catch((error: unknown) => error);
    const { message } = refused as Error;
    expect(message).toContain('convnext');
    expect(message).not.toContain('Expected a model that is known');
    expect(message).toContain(' --output features --name tiny ');
    // The card is somebody else's text, and the line is for a shell.
    expect(message).toContain(` --licence 'it'\\''s $(theirs)' --trained-on imagenet-1k`);
  });

  it('of which nothing says how it sees images is refused with the way that is left', async () => {
    const files = repositoryOf('convnext');
    delete files['preprocessor_config.json'];
    const { pull } = await scene(files);
    await expect(pull()).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringMatching(/at which size and scale.*nearvote encoder add/) as string,
    });
  });

  it('with an input beside the image is refused, and the inputs are named', async () => {
    const proto = hubModel();
    proto.graph.input.push(tensorInfo({ name: 'input_ids', elementType: 'int64', dims: ['batch', 77] }));
    const { pull } = await scene(filesOf('convnext', proto));
    await expect(pull()).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringContaining('input_ids: int64 [batch,77]') as string,
    });
  });
});

async function elsewhere(): Promise<{ dir: string }> {
  return { dir: join(await emptyFolder(), 'models', 'tiny') };
}
