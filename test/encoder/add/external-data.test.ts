import { rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { inlineExternalData } from '../../../src/encoder/add/external-data.js';
import { emptyFolder } from '../folder.js';
import { moveOut } from './external-weights.js';
import { add, expectByHand, foreignModel } from './foreign-network.js';

describe('a model with its weights in another file', () => {
  let dir: string;
  let data: string;
  beforeEach(async () => {
    dir = await emptyFolder();
    data = join(dir, 'foreign.onnx.data');
  });

  it('becomes one file', async () => {
    const proto = foreignModel();
    await writeFile(data, moveOut(proto, 'foreign.onnx.data'));
    await add(dir, proto);
    await rm(data);
    await expectByHand(dir);
  });

  it('is read to the end of that file where no length is given', async () => {
    const proto = foreignModel();
    await writeFile(data, moveOut(proto, 'foreign.onnx.data'));
    for (const tensor of proto.graph.initializer) {
      tensor.externalData = tensor.externalData.filter(({ key }) => key !== 'length');
    }
    await add(dir, proto);
    await expectByHand(dir);
  });

  it('is held once, however many spellings of its name there are', async () => {
    const bytes = 16 * 2 ** 20;
    const proto = foreignModel();
    await writeFile(data, moveOut(proto, 'foreign.onnx.data'));
    await truncate(data, bytes);
    const [first] = proto.graph.initializer;
    if (first === undefined) throw new Error('the network has weights');
    for (let i = 1; i <= 16; i++) {
      const again = structuredClone(first);
      again.name = `again${i}`;
      for (const entry of again.externalData) {
        if (entry.key === 'location') entry.value = './'.repeat(i) + entry.value;
      }
      proto.graph.initializer.push(again);
    }
    const before = process.memoryUsage().arrayBuffers;
    await inlineExternalData(proto, join(dir, 'foreign.onnx'));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(4 * bytes);
  });

  it('is refused when the file is missing', async () => {
    const proto = foreignModel();
    moveOut(proto, 'foreign.onnx.data');
    await expect(add(dir, proto)).rejects.toMatchObject({
      code: 'encoder_missing',
      message: expect.stringContaining('foreign.onnx.data') as string,
    });
  });

  it('is refused when the file is cut short', async () => {
    const proto = foreignModel();
    await writeFile(data, moveOut(proto, 'foreign.onnx.data'));
    await truncate(data, 20);
    await expect(add(dir, proto)).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: 'Expected 48 bytes of w at 8 of foreign.onnx.data but it has 20 bytes',
    });
  });

  it.each(['../secret.data', '/etc/hostname'])('is refused when that is %s', async (location) => {
    const proto = foreignModel();
    moveOut(proto, location);
    await expect(add(dir, proto)).rejects.toMatchObject({
      code: 'encoder_invalid',
      message: expect.stringContaining('Expected a file inside') as string,
    });
  });

  it.each([
    ['offset', '-4'],
    ['offset', 'far'],
    ['length', '-1'],
    ['length', '1e99'],
  ])('is refused when its %s is %s', async (key, value) => {
    const proto = foreignModel();
    await writeFile(data, moveOut(proto, 'foreign.onnx.data'));
    for (const entry of proto.graph.initializer.flatMap((tensor) => tensor.externalData)) {
      if (entry.key === key) entry.value = value;
    }
    await expect(add(dir, proto)).rejects.toMatchObject({ code: 'encoder_invalid' });
  });
});
