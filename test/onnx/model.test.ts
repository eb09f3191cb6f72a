import { openSession, Tensor } from '../../src/onnx/session.js';
import { describe, expect, it } from 'vitest';
import { decodeModel, encodeModel, model, node, tensorInfo } from '../../src/onnx/model.js';
import { elementTypes, initializer, int64Values } from '../../src/onnx/tensor.js';

/** y = alpha * x w^T + b, read through TopK: ints, floats, a string-free and a multi-output node. */
function gemmThenTopK() {
  return model({
    name: 'gemm-topk',
    inputs: [tensorInfo({ name: 'x', elementType: 'float32', dims: ['n', 2] })],
    outputs: [
      tensorInfo({ name: 'values', elementType: 'float32', dims: ['n', 1] }),
      tensorInfo({ name: 'rows', elementType: 'int64', dims: ['n', 1] }),
    ],
    initializers: [
      initializer({ name: 'w', elementType: 'float32', dims: [3, 2], data: [1, 0, 0, 1, 1, 1] }),
      initializer({ name: 'b', elementType: 'float32', dims: [3], data: new Float32Array([0, 0, -10]) }),
      initializer({ name: 'k', elementType: 'int64', dims: [1], data: [1] }),
    ],
    nodes: [
      node('Gemm', {
        inputs: ['x', 'w', 'b'],
        outputs: ['y'],
        attributes: { transB: 1, alpha: { float: 2 } },
      }),
      node('TopK', { inputs: ['y', 'k'], outputs: ['values', 'rows'], attributes: { axis: -1, largest: 1 } }),
    ],
  });
}

describe('an ONNX model', () => {
  it('runs in ONNX Runtime as it was written', async () => {
    const session = await openSession({ model: encodeModel(gemmThenTopK()), threads: 1 });
    const result = await session.run({ x: new Tensor('float32', Float32Array.of(1, 3, 4, 2), [2, 2]) });
    // 2 * [1, 3, 4] + b = [2, 6, -2] and 2 * [4, 2, 6] + b = [8, 4, 2]
    expect(Array.from(result['values']?.data as Float32Array)).toEqual([6, 8]);
    expect(Array.from(result['rows']?.data as BigInt64Array, Number)).toEqual([1, 0]);
  });

  it('is the same model after a round trip through bytes', () => {
    const bytes = encodeModel(gemmThenTopK());
    expect(encodeModel(decodeModel(bytes))).toEqual(bytes);
  });

  it('keeps attributes of every kind', async () => {
    const constant = initializer({ name: '', elementType: 'float32', dims: [1], data: [0.5] });
    const proto = model({
      name: 'attributes',
      opset: 13,
      inputs: [tensorInfo({ name: 'x', elementType: 'float32', dims: [1, 1, 2, 2] })],
      outputs: [tensorInfo({ name: 'y', elementType: 'float32', dims: [1, 1, 2, 2] })],
      nodes: [
        node('Constant', { inputs: [], outputs: ['half'], attributes: { value: { tensor: constant } } }),
        node('Constant', { inputs: [], outputs: ['ones'], attributes: { value_floats: { floats: [1] } } }),
        node('AveragePool', {
          inputs: ['x'],
          outputs: ['pooled'],
          attributes: { kernel_shape: [1, 1], auto_pad: 'SAME_UPPER' },
        }),
        node('Mul', { inputs: ['pooled', 'half'], outputs: ['halved'] }),
        node('Add', { inputs: ['halved', 'ones'], outputs: ['y'] }),
      ],
    });
    const session = await openSession({ model: encodeModel(proto), threads: 1 });
    const result = await session.run({ x: new Tensor('float32', Float32Array.of(0, 2, 4, 6), [1, 1, 2, 2]) });
    expect(Array.from(result['y']?.data as Float32Array)).toEqual([1, 2, 3, 4]);
  });

  it('refuses bytes that are not a model', () => {
    const junk = new TextEncoder().encode('this is a text file, not a model');
    expect(() => decodeModel(junk)).toThrow(expect.objectContaining({ code: 'encoder_invalid' }) as Error);
    expect(() => decodeModel(new Uint8Array(0))).toThrow(/without a graph/);
    const whole = encodeModel(gemmThenTopK());
    expect(() => decodeModel(whole.subarray(0, whole.length - 7))).toThrow(
      expect.objectContaining({ code: 'encoder_invalid' }) as Error,
    );
  });
});

describe('a constant tensor', () => {
  it('refuses data that does not fill its dims', () => {
    expect(() => initializer({ name: 'w', elementType: 'float32', dims: [2, 2], data: [1, 2, 3] })).toThrow(
      'Expected 16 bytes for w [2,2] of float32 but received 12',
    );
  });

  it('gives its int64 values back, negative ones too', () => {
    const shape = initializer({ name: 'shape', elementType: 'int64', dims: [3], data: [1, -1, 768] });
    expect(int64Values(shape)).toEqual([1, -1, 768]);
    const typed = initializer({ name: 'shape', elementType: 'int64', dims: [0], data: [] });
    typed.dims = [2n];
    typed.int64Data = [7n, -1n];
    expect(int64Values(typed)).toEqual([7, -1]);
  });

  it('refuses to be read as int64 when it is not', () => {
    const floats = initializer({ name: 'f', elementType: 'float32', dims: [1], data: [1] });
    expect(() => int64Values(floats)).toThrow(/Expected int64 values/);
    const short = initializer({ name: 's', elementType: 'int64', dims: [1], data: [1] });
    short.dims = [2n];
    expect(() => int64Values(short)).toThrow(/Expected 16 bytes for s but received 8/);
  });

  it.each([
    ['uint8', [0, 255], Uint8Array.of(0, 255)],
    ['int8', [-128, 127], Uint8Array.of(128, 127)],
    ['int32', [-2], Uint8Array.of(254, 255, 255, 255)],
    ['bool', [1, 0], Uint8Array.of(1, 0)],
    ['float64', [1], Uint8Array.of(0, 0, 0, 0, 0, 0, 0xf0, 0x3f)],
  ] as const)('writes %s values as little-endian bytes', (elementType, data, bytes) => {
    const tensor = initializer({ name: 't', elementType, dims: [data.length], data });
    expect(tensor.rawData).toEqual(bytes);
    expect(tensor.dataType).toBe(elementTypes[elementType]);
  });

  it('takes float16 as bytes only', () => {
    const one = Uint8Array.of(0x00, 0x3c);
    expect(initializer({ name: 'h', elementType: 'float16', dims: [1], data: one }).rawData).toEqual(one);
    expect(() => initializer({ name: 'h', elementType: 'float16', dims: [1], data: [1] })).toThrow(/bytes/);
  });
});
