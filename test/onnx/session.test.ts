import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { encodeModel, model, node, tensorInfo } from '../../src/onnx/model.js';
import { openSession, Tensor } from '../../src/onnx/session.js';
import { emptyFolder } from '../encoder/folder.js';

const doubling = encodeModel(
  model({
    name: 'doubling',
    inputs: [tensorInfo({ name: 'x', elementType: 'float32', dims: ['n'] })],
    outputs: [tensorInfo({ name: 'y', elementType: 'float32', dims: ['n'] })],
    nodes: [node('Add', { inputs: ['x', 'x'], outputs: ['y'] })],
  }),
);

describe('a session', () => {
  it.each([{}, { spinning: true }, { spinning: false }, { memoryPattern: false }])(
    'runs a model with the settings %j',
    async (settings) => {
      const session = await openSession({ model: doubling, threads: 2, ...settings });
      const { y } = await session.run({ x: new Tensor('float32', Float32Array.of(1, -4), [2]) });
      expect(Array.from(y?.data as Float32Array)).toEqual([2, -8]);
      await session.release();
    },
  );

  it('opens a file as well as its bytes', async () => {
    const file = join(await emptyFolder(), 'doubling.onnx');
    await writeFile(file, doubling);
    const session = await openSession({ model: file, threads: 1 });
    expect(session.inputNames).toEqual(['x']);
    await session.release();
  });

  it('runs on the processor where that is asked for', async () => {
    const session = await openSession({ model: doubling, threads: 1, providers: ['cpu'] });
    expect(session.outputNames).toEqual(['y']);
    await session.release();
  });

  it('is refused with what is there where its execution provider is not', async () => {
    await expect(openSession({ model: doubling, threads: 1, providers: ['abacus'] })).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringMatching(/has here \(cpu.*\) but received abacus$/) as string,
    });
  });

  // The package brings no libraries of TensorRT's.
  it.skipIf(process.platform !== 'linux' || process.arch !== 'x64')(
    "is refused with ONNX Runtime's reason where its execution provider does not start",
    async () => {
      await expect(
        openSession({ model: doubling, threads: 1, providers: ['tensorrt', 'cpu'] }),
      ).rejects.toMatchObject({
        code: 'dependency_missing',
        message: expect.stringMatching(
          /tensorrt, cpu to start but .*Failed to load shared library/,
        ) as string,
      });
    },
  );

  it("is refused with ONNX Runtime's own reason", async () => {
    const junk = new TextEncoder().encode('not a model');
    await expect(openSession({ model: junk, threads: 1 })).rejects.toThrow(/protobuf parsing failed/);
    await expect(openSession({ model: '/nowhere.onnx', threads: 1 })).rejects.toThrow(/doesn't exist/);
  });
});
