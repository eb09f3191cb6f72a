import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { node, tensorInfo } from '../../../src/onnx/model.js';
import type { GraphModel } from '../../../src/onnx/model.js';
import { initializer } from '../../../src/onnx/tensor.js';
import { emptyFolder } from '../folder.js';
import { add, expectByHand, foreignModel, height, width } from './foreign-network.js';

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

  it('is freed however often it reshapes', async () => {
    const dir = await emptyFolder();
    const proto = foreignModel({ features: 'class-token', batch: 1, shape: [1, 4, tokens] });
    const dims = [1, tokens + 1, 2, 2];
    proto.graph.initializer.push(
      initializer({ name: 'heads', elementType: 'int64', dims: [4], data: dims }),
      initializer({ name: 'joined', elementType: 'int64', dims: [3], data: [1, tokens + 1, 4] }),
    );
    for (let i = 0; i < 10; i++) {
      const from = i === 0 ? 'features' : `joined${i - 1}`;
      proto.graph.node.push(
        node('Reshape', { inputs: [from, 'heads'], outputs: [`heads${i}`] }),
        node('Reshape', { inputs: [`heads${i}`, 'joined'], outputs: [`joined${i}`] }),
      );
    }
    await add(dir, proto, { token: 'mean', output: 'joined9' });
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
