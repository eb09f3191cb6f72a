import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { model, node, tensorInfo } from '../../../src/onnx/model.js';
import type { GraphModel } from '../../../src/onnx/model.js';
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

describe('a model exported for one image', () => {
  const tokens = height * width;
  it.each([
    ['[1,4,24]', { shape: [1, 4, tokens] }],
    ['[1,4,-1]', { shape: [1, 4, -1] }],
    ['[1,0,-1]', { shape: [1, 0, -1] }],
    ['[1,4,24] from a node', { shape: [1, 4, tokens], constantsAsNodes: true }],
  ])('is freed where it reshapes to %s', async (_what, options) => {
    const dir = await emptyFolder();
    await add(dir, foreignModel({ features: 'tokens', batch: 1, ...options }), { token: 'cls' });
    await expectByHand(dir, { take: 'first' });
  });

  it.each([false, true])('is freed where it adds a class token (as a node: %s)', async (constantsAsNodes) => {
    const dir = await emptyFolder();
    const network = { features: 'class-token', batch: 1, shape: [1, 4, tokens], constantsAsNodes } as const;
    await add(dir, foreignModel(network), { token: 'mean' });
    await expectByHand(dir, { take: 'mean with class token' });
  });

  it('is refused where nothing can free it, and says what to do', async () => {
    const dir = await emptyFolder();
    const proto = foreignModel({ batch: 1 });
    // [1,4] -> [4] -> [1,4]: the batch is gone in between.
    proto.graph.initializer.push(
      initializer({ name: 'flat', elementType: 'int64', dims: [1], data: [4] }),
      initializer({ name: 'row', elementType: 'int64', dims: [2], data: [1, 4] }),
    );
    proto.graph.node.push(
      node('Reshape', { inputs: ['features', 'flat'], outputs: ['one'] }),
      node('Reshape', { inputs: ['one', 'row'], outputs: ['again'] }),
    );
    proto.graph.output = [tensorInfo({ name: 'again', elementType: 'float32', dims: [1, 4] })];
    await expect(add(dir, proto)).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringMatching(
        /only be served when exported with a dynamic batch.*dynamic_axes/,
      ) as string,
    });
    expect(await readdir(dir)).toEqual(['foreign.onnx']);
  });

  it('is refused for two images at once', async () => {
    await expect(add(await emptyFolder(), foreignModel({ batch: 2 }))).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringContaining('takes 2 images at once') as string,
    });
  });
});

describe('an encoder is refused', () => {
  it('when an embedding depends on what else is in the batch', async () => {
    const proto = foreignModel();
    const attributes = { axes: [0], keepdims: 1 };
    proto.graph.node.push(
      node('ReduceMean', { inputs: ['features'], outputs: ['average'], attributes }),
      node('Add', { inputs: ['features', 'average'], outputs: ['mixed'] }),
    );
    proto.graph.output = [tensorInfo({ name: 'mixed', elementType: 'float32', dims: ['batch', 4] })];
    await expect(add(await emptyFolder(), proto)).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringContaining('Expected the same embedding whatever else is in the batch') as string,
    });
  });

  it('when every image gets the same embedding', async () => {
    const proto = foreignModel();
    proto.graph.initializer.push(initializer({ name: 'zero', elementType: 'float32', dims: [], data: [0] }));
    proto.graph.initializer.push(initializer({ name: 'one', elementType: 'float32', dims: [], data: [1] }));
    proto.graph.node.push(
      node('Mul', { inputs: ['features', 'zero'], outputs: ['nothing'] }),
      node('Add', { inputs: ['nothing', 'one'], outputs: ['constant'] }),
    );
    await expect(add(await emptyFolder(), proto, { output: 'constant' })).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringContaining('they are all the same') as string,
    });
  });

  it.each([
    ['zero', 0, 'length 0'],
    ['not a number', NaN, 'length NaN'],
  ])('when its embeddings are %s', async (_what, factor, message) => {
    const proto = foreignModel();
    proto.graph.initializer.push(
      initializer({ name: 'factor', elementType: 'float32', dims: [], data: [factor] }),
    );
    proto.graph.node.push(node('Mul', { inputs: ['features', 'factor'], outputs: ['scaled'] }));
    await expect(add(await emptyFolder(), proto, { output: 'scaled' })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringContaining(message) as string,
    });
  });

  it('when it is exported with an opset that is too old', async () => {
    await expect(add(await emptyFolder(), foreignModel({ opset: 9 }))).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringContaining('Expected opset 11 or later but received 9') as string,
    });
  });

  it.each([
    ['no input', (proto: GraphModel) => (proto.graph.input = []), 'received none'],
    [
      'two inputs',
      (proto: GraphModel) =>
        proto.graph.input.push(tensorInfo({ name: 'mask', elementType: 'float32', dims: ['n'] })),
      'received image: float32 [batch,3,4,6] and mask: float32 [n]',
    ],
    [
      'integers',
      (proto: GraphModel) =>
        (proto.graph.input = [tensorInfo({ name: 'image', elementType: 'int64', dims: ['n', 8] })]),
      'received image: int64 [n,8]',
    ],
  ])('when it takes %s', async (_what, change, message) => {
    const proto = foreignModel();
    change(proto);
    await expect(add(await emptyFolder(), proto)).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringContaining(message) as string,
    });
  });

  it.each([
    ['text', new TextEncoder().encode('not a model at all'), 'encoder_invalid'],
    ['nothing', new Uint8Array(0), 'encoder_invalid'],
  ])('when its file holds %s', async (_what, bytes, code) => {
    const dir = await emptyFolder();
    await expect(add(dir, bytes)).rejects.toMatchObject({ code });
    expect(await readdir(dir)).toEqual(['foreign.onnx']);
  });

  it('when it has an operation that ONNX Runtime does not know', async () => {
    const proto = foreignModel();
    proto.graph.node.push(node('Sorcery', { inputs: ['features'], outputs: ['magic'] }));
    await expect(add(await emptyFolder(), proto, { output: 'magic' })).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringContaining('Sorcery') as string,
    });
  });

  it.each([
    ['is not there', 'nowhere.onnx', 'there is none'],
    ['is a folder', '.', 'EISDIR'],
  ])('when its file %s', async (_what, name, message) => {
    const dir = await emptyFolder();
    await expect(add(dir, foreignModel(), { path: join(dir, name) })).rejects.toMatchObject({
      code: 'encoder_missing',
      message: expect.stringContaining(message) as string,
    });
  });
});

describe('options that do not fit the model are named', () => {
  it.each([
    [
      'another size',
      { width: 224, height: 224 },
      'Expected an input [n,3,224,224] (--size and --layout nchw)',
    ],
    ['width for height', { width: height, height: width }, 'Expected an input [n,3,6,4]'],
    ['another layout', { preprocessing: { layout: 'nhwc' } }, 'the model takes image: float32 [batch,3,4,6]'],
    ['a token of no tokens', { token: 'cls' }, 'Expected no --token, because features is [n,4]'],
    [
      'an output that is not there',
      { output: 'logits' },
      '(features: float32 [batch,4]) or a value inside the model but received logits',
    ],
    ['a name that is no name', { name: '../escape' }, 'name: '],
  ] as const)('for %s', async (_what, overrides, message) => {
    const dir = await emptyFolder();
    await expect(add(dir, foreignModel(), overrides)).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining(message) as string,
    });
    expect(await readdir(dir)).toEqual(['foreign.onnx']);
  });

  it('for tokens without a choice of one', async () => {
    await expect(add(await emptyFolder(), foreignModel({ features: 'tokens' }))).rejects.toMatchObject({
      code: 'usage',
      message: 'Expected --token cls or --token mean, because features is [n,24,4]',
    });
  });

  it('for two outputs without a choice of one', async () => {
    const proto = foreignModel();
    proto.graph.output.push(
      tensorInfo({ name: 'v1', elementType: 'float32', dims: ['batch', 4, height, width] }),
    );
    await expect(add(await emptyFolder(), proto)).rejects.toMatchObject({
      code: 'usage',
      message: 'Expected --output, one of features: float32 [batch,4] and v1: float32 [batch,4,4,6]',
    });
    const dir = await emptyFolder();
    await add(dir, proto, { output: 'v1' });
    await expectByHand(dir);
  });

  it.each([
    ['[24]', 'Reshape', { shape: [-1] }, 'to be [n,d], [n,tokens,d] or [n,c,h,w] but it is'],
    ['integers', 'Cast', { to: 7 }, 'Expected odd to be floats but it is int64'],
  ])('for an output of %s', async (_what, opType, attributes, message) => {
    const proto = foreignModel();
    const shape = 'shape' in attributes ? ['odd_shape'] : [];
    proto.graph.initializer.push(
      initializer({ name: 'odd_shape', elementType: 'int64', dims: [1], data: [-1] }),
    );
    const cast = 'to' in attributes ? { to: 7 } : {};
    proto.graph.node.push(
      node(opType, { inputs: ['features', ...shape], outputs: ['odd'], attributes: cast }),
    );
    await expect(add(await emptyFolder(), proto, { output: 'odd' })).rejects.toMatchObject({
      code: 'encoder_unsupported',
      message: expect.stringContaining(message) as string,
    });
  });
});

describe('--output may name a value inside the model', () => {
  it('and what comes after it is left out of the file', async () => {
    const dir = await emptyFolder();
    const proto = foreignModel();
    const classes = initializer({
      name: 'head',
      elementType: 'float32',
      dims: [4, 1000],
      data: new Float32Array(4000),
    });
    proto.graph.initializer.push(classes);
    proto.graph.node.push(node('MatMul', { inputs: ['features', 'head'], outputs: ['logits'] }));
    proto.graph.output = [tensorInfo({ name: 'logits', elementType: 'float32', dims: ['batch', 1000] })];
    const whole = await add(dir, proto, { dir: join(dir, 'models', 'whole'), preprocessing: {} }).catch(
      (e: unknown) => e,
    );
    // All-zero logits are no embedding; the features are.
    expect(whole).toMatchObject({ code: 'encoder_invalid' });
    await add(dir, proto, { output: 'features' });
    await expectByHand(dir);
    expect((await readFile(join(dir, 'models', 'foreign', 'encoder.onnx'))).length).toBeLessThan(4000);
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
      input: { name: 'pixels', width, height, fit: 'cover', kernel: 'cubic' },
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
      code: 'output_unwritable',
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
      code: 'output_unwritable',
    });
    expect(await readdir(place)).toEqual(['diary.txt']);
  });

  it('cannot be made inside a file', async () => {
    const dir = await emptyFolder();
    await writeFile(join(dir, 'models'), '');
    await expect(add(dir, foreignModel())).rejects.toMatchObject({ code: 'output_unwritable' });
  });
});
