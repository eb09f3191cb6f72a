import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { node, tensorInfo } from '../../../src/onnx/model.js';
import { initializer } from '../../../src/onnx/tensor.js';
import { emptyFolder } from '../folder.js';
import { resizeTo } from '../../../src/image/geometry.js';
import { add, expectByHand, foreignModel, height, width } from './foreign-network.js';

const exact = (across: number, down: number) =>
  resizeTo({ width: across, height: down, fit: 'fill', kernel: 'cubic' });

describe('options that do not fit the model are named', () => {
  it.each([
    [
      'another size',
      { geometry: exact(224, 224) },
      'Expected an input [n,3,224,224] (--size and --layout nchw)',
    ],
    ['width for height', { geometry: exact(height, width) }, 'Expected an input [n,3,6,4]'],
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
