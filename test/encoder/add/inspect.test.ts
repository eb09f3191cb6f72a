import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { inspectModel } from '../../../src/encoder/add/inspect.js';
import { inspectTfjs } from '../../../src/encoder/add/inspect-tfjs.js';
import { openTensorFlow } from '../../../src/encoder/tensorflow.js';
import { encodeModel, type GraphModel, node, tensorInfo } from '../../../src/onnx/model.js';
import { initializer } from '../../../src/onnx/tensor.js';
import { emptyFolder } from '../folder.js';
import { moveOut } from './external-weights.js';
import { foreignModel } from './foreign-network.js';
import { saveForeign, saveForeignLayers } from './foreign-tfjs.js';

async function written(proto: GraphModel): Promise<string> {
  const path = join(await emptyFolder(), 'model.onnx');
  await writeFile(path, encodeModel(proto));
  return path;
}

it.each(['nchw', 'nhwc'] as const)('an %s model is shown with shapes, size and layout', async (layout) => {
  expect(await inspectModel(await written(foreignModel({ layout, features: 'tokens', opset: 18 })))).toEqual({
    format: 'ONNX, opset 18',
    inputs: [`image: float32 [batch,${layout === 'nchw' ? '3,4,6' : '4,6,3'}]`],
    outputs: ['features: float32 [batch,t,4]'],
    inside: expect.any(Array) as unknown,
    weightsIn: [],
    layout,
    size: '6x4',
    refusedBecause: undefined,
  });
});

it('a model that encoder add does not take is shown with the reason', async () => {
  const old = await inspectModel(await written(foreignModel({ opset: 9 })));
  expect(old.refusedBecause).toContain('opset 11');
  const fused = foreignModel();
  fused.graph.input.push(tensorInfo({ name: 'ids', elementType: 'int64', dims: ['n', 7] }));
  const shown = await inspectModel(await written(fused));
  expect(shown.inputs).toHaveLength(2);
  expect(shown.refusedBecause).toContain('Expected one input, the image');
});

it('the files that weights lie in are named, and missed where they are not there', async () => {
  const proto = foreignModel();
  const weights = moveOut(proto, 'model.onnx_data');
  const path = await written(proto);
  await writeFile(`${path}_data`, weights);
  expect(await inspectModel(path)).toMatchObject({
    weightsIn: ['model.onnx_data'],
    refusedBecause: undefined,
  });
  await rm(`${path}_data`);
  expect((await inspectModel(path)).refusedBecause).toContain('model.onnx_data');
});

it('what is no model is refused', async () => {
  const path = join(await emptyFolder(), 'model.onnx');
  await writeFile(path, 'no model');
  await expect(inspectModel(path)).rejects.toMatchObject({ code: 'encoder_invalid' });
});

it("what a classifier's scores are computed from is named, the nearest first", async () => {
  const proto = foreignModel();
  for (const { output } of proto.graph.node)
    for (const [i, name] of output.entries()) if (name === 'features') output[i] = 'read';
  proto.graph.initializer.push(
    initializer({ name: 'classes', elementType: 'float32', dims: [4, 1], data: [1, 2, 3, 4] }),
  );
  proto.graph.node.push(node('MatMul', { inputs: ['read', 'classes'], outputs: ['scores'] }));
  proto.graph.node.push(node('Softmax', { inputs: ['scores'], outputs: ['shares'] }));
  proto.graph.output = [tensorInfo({ name: 'shares', elementType: 'float32', dims: ['n', 1] })];
  const { inside } = await inspectModel(await written(proto));
  expect(inside.slice(0, 2)).toEqual(['scores (MatMul)', expect.stringMatching(/^read \(/)]);
});

it('a TensorFlow.js graph model is shown with what --output may name', async () => {
  const dir = await emptyFolder();
  await saveForeign(dir);
  expect(await inspectTfjs(join(dir, 'model.json'))).toEqual({
    format: 'TensorFlow.js graph model',
    inputs: ['image: float [n,3,4,3]'],
    outputs: ['classes', 'tokens', 'map2'],
    inside: ['pooled (Mean)', 'map (Relu)', 'product (Conv2D)'],
    weightsIn: [],
    layout: 'nhwc',
    size: '4x3',
    refusedBecause: undefined,
  });
});

it('a TensorFlow.js layers model is shown with its last layers', async () => {
  const dir = await emptyFolder();
  await saveForeignLayers((await openTensorFlow()).tf, dir);
  const shown = await inspectTfjs(join(dir, 'model.json'));
  expect(shown).toMatchObject({ format: 'TensorFlow.js layers model', layout: 'nhwc', size: '4x3' });
  expect(shown.inputs).toEqual([expect.stringMatching(/^conv2d.*: \[n,3,4,3\]$/)]);
  expect(shown.outputs).toEqual([expect.stringMatching(/^dense.* \(Dense\)$/)]);
  expect(shown.inside.slice(0, 2)).toEqual(['pooled (GlobalAveragePooling2D)', 'map (ReLU)']);
});
