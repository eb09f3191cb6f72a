import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { model, node, tensorInfo } from '../../../src/onnx/model.js';
import { initializer } from '../../../src/onnx/tensor.js';
import { emptyFolder } from '../folder.js';
import { add, expectByHand, foreignModel, height, width } from './foreign-network.js';

describe('a wrapped encoder equals the network computed by hand', () => {
  it.each([
    [{ layout: 'nchw', features: 'pooled' }, {}, {}],
    [{ layout: 'nhwc', features: 'pooled' }, {}, {}],
    [{ layout: 'nchw', features: 'map' }, {}, {}],
    [{ layout: 'nhwc', features: 'map' }, {}, {}],
    [{ features: 'tokens' }, { token: 'cls' }, { take: 'first' }],
    [{ features: 'tokens' }, { token: 'mean' }, { take: 'mean' }],
    [{ layout: 'nhwc', features: 'tokens' }, { token: 'cls' }, { take: 'first' }],
    [
      { features: 'class-token', shape: [-1, 4, height * width], batch: 1 },
      { token: 'mean' },
      { take: 'mean with class token' },
    ],
  ] as const)('for %j with %j', async (network, options, take) => {
    const dir = await emptyFolder();
    const layout = 'layout' in network ? network.layout : 'nchw';
    const manifest = await add(dir, foreignModel(network), { ...options, preprocessing: { layout } });
    expect(manifest.output.dimension).toBe(4);
    await expectByHand(dir, take);
  });

  it.each([11, 12, 13, 17, 18, 20, 21, 22])('exported with opset %i', async (opset) => {
    const dir = await emptyFolder();
    await add(dir, foreignModel({ opset, features: 'map' }));
    await expectByHand(dir);
  });

  it('that takes and gives half precision', async () => {
    const dir = await emptyFolder();
    await add(dir, foreignModel({ elementType: 'float16', features: 'tokens' }), { token: 'mean' });
    await expectByHand(dir, {}, 2);
  });

  it.each([
    [{ channels: 'bgr', layout: 'nchw' }],
    [{ channels: 'bgr', layout: 'nhwc' }],
    [{ channels: 'rgb', layout: 'nchw', scale: 127.5 }],
    [{ channels: 'rgb', layout: 'nhwc', scale: 1 }],
  ] as const)('that expects %j', async (preprocessing) => {
    const dir = await emptyFolder();
    await add(dir, foreignModel({ layout: preprocessing.layout }), { preprocessing });
    await expectByHand(dir, preprocessing);
  });

  it('that declares no shapes at all', async () => {
    const dir = await emptyFolder();
    const proto = foreignModel({ features: 'map' });
    for (const { type } of [...proto.graph.input, ...proto.graph.output]) {
      if (type?.value.case === 'tensorType') delete type.value.value.shape;
    }
    await add(dir, proto);
    await expectByHand(dir);
  });

  it('that lists its constants as inputs, as IR version 3 must', async () => {
    const dir = await emptyFolder();
    const proto = foreignModel({ opset: 11 });
    proto.irVersion = 3n;
    proto.graph.input.push(tensorInfo({ name: 'w', elementType: 'float32', dims: [4, 3, 1, 1] }));
    await add(dir, proto);
    await expectByHand(dir);
  });

  it('whose names are those that wrapping would have given', async () => {
    const dir = await emptyFolder();
    const proto = foreignModel({ features: 'tokens', batch: 'n' });
    const taken: Record<string, string> = {
      image: 'embeddings',
      v0: 'pixels',
      v1: 'nearvote/gain',
      features: '_nearvote/',
    };
    const rename = (name: string): string => taken[name] ?? name;
    for (const one of proto.graph.node) {
      one.input = one.input.map(rename);
      one.output = one.output.map(rename);
    }
    for (const value of [...proto.graph.input, ...proto.graph.output]) value.name = rename(value.name);
    await add(dir, proto, { token: 'cls', output: '_nearvote/' });
    await expectByHand(dir, { take: 'first' });
  });

  it('that branches, reading from around the branch', async () => {
    const dir = await emptyFolder();
    const proto = foreignModel();
    const branch = (scale: string) =>
      model({
        name: scale,
        inputs: [],
        outputs: [tensorInfo({ name: `pixels_${scale}`, elementType: 'float32', dims: ['b', 4] })],
        nodes: [node('Mul', { inputs: ['features', scale], outputs: [`pixels_${scale}`] })],
      }).graph;
    proto.graph.initializer.push(
      initializer({ name: 'pixels', elementType: 'float32', dims: [], data: [2] }),
      initializer({ name: 'minus', elementType: 'float32', dims: [], data: [-1] }),
      initializer({ name: 'yes', elementType: 'bool', dims: [], data: [1] }),
    );
    const attributes = { then_branch: { graph: branch('pixels') }, else_branch: { graph: branch('minus') } };
    proto.graph.node.push(node('If', { inputs: ['yes'], outputs: ['scaled'], attributes }));
    proto.graph.output = [tensorInfo({ name: 'scaled', elementType: 'float32', dims: ['b', 4] })];
    await add(dir, proto);
    await expectByHand(dir);
  });
});

describe('the folder of an added encoder', () => {
  it('holds the model and its manifest, and nothing is left beside it', async () => {
    const dir = await emptyFolder();
    const manifest = await add(dir, foreignModel());
    expect(await readdir(join(dir, 'models'))).toEqual(['foreign']);
    expect((await readdir(join(dir, 'models', 'foreign'))).sort()).toEqual(['encoder.json', 'encoder.onnx']);
    const written: unknown = JSON.parse(
      await readFile(join(dir, 'models', 'foreign', 'encoder.json'), 'utf8'),
    );
    expect(written).toEqual(manifest);
    expect(manifest).toMatchObject({
      name: 'foreign',
      input: {
        name: 'pixels',
        width,
        height,
        geometry: { resize: { width, height }, fit: 'cover', kernel: 'cubic' },
      },
      output: { name: 'embeddings', dimension: 4 },
      trainedOn: ['nothing'],
      licence: 'MIT',
    });
  });

  it('is not replaced unless --force says so', async () => {
    const dir = await emptyFolder();
    await add(dir, foreignModel(), { version: '1' });
    const place = join(dir, 'models', 'foreign', 'encoder.json');
    const before = await readFile(place, 'utf8');
    await expect(add(dir, foreignModel(), { version: '2' })).rejects.toMatchObject({
      code: 'output_exists',
      message: expect.stringContaining('--force') as string,
    });
    expect(await readFile(place, 'utf8')).toBe(before);
    await add(dir, foreignModel(), { version: '2', force: true });
    expect(JSON.parse(await readFile(place, 'utf8'))).toMatchObject({ version: '2' });
    expect(await readdir(join(dir, 'models'))).toEqual(['foreign']);
  });

  it('stays what it was when its replacement fails', async () => {
    const dir = await emptyFolder();
    await add(dir, foreignModel());
    await expect(add(dir, foreignModel({ batch: 2 }), { force: true })).rejects.toThrow();
    await expectByHand(dir);
    expect(await readdir(join(dir, 'models'))).toEqual(['foreign']);
  });

  it('is written by one of two that add it at once', async () => {
    const dir = await emptyFolder();
    const settled = await Promise.allSettled([add(dir, foreignModel()), add(dir, foreignModel())]);
    expect(settled.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    await expectByHand(dir);
    expect(await readdir(join(dir, 'models'))).toEqual(['foreign']);
  });

  it('never replaces what is not an encoder', async () => {
    const dir = await emptyFolder();
    const place = join(dir, 'models', 'foreign');
    await mkdir(place, { recursive: true });
    await writeFile(join(place, 'diary.txt'), 'dear diary');
    await expect(add(dir, foreignModel(), { force: true })).rejects.toMatchObject({
      code: 'output_exists',
    });
    expect(await readdir(place)).toEqual(['diary.txt']);
  });

  it('cannot be made inside a file', async () => {
    const dir = await emptyFolder();
    await writeFile(join(dir, 'models'), '');
    await expect(add(dir, foreignModel())).rejects.toMatchObject({ code: 'output_unwritable' });
  });
});
