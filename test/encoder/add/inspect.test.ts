import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { inspectModel } from '../../../src/encoder/add/inspect.js';
import { encodeModel, type GraphModel, tensorInfo } from '../../../src/onnx/model.js';
import { emptyFolder } from '../folder.js';
import { moveOut } from './external-weights.js';
import { foreignModel } from './foreign-network.js';

async function written(proto: GraphModel): Promise<string> {
  const path = join(await emptyFolder(), 'model.onnx');
  await writeFile(path, encodeModel(proto));
  return path;
}

it.each(['nchw', 'nhwc'] as const)('an %s model is shown with shapes, size and layout', async (layout) => {
  expect(await inspectModel(await written(foreignModel({ layout, features: 'tokens', opset: 18 })))).toEqual({
    opset: 18,
    inputs: [`image: float32 [batch,${layout === 'nchw' ? '3,4,6' : '4,6,3'}]`],
    outputs: ['features: float32 [batch,t,4]'],
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
