import { describe, expect, it } from 'vitest';
import { chooseQuantisation, type QuantiseOptions } from '../../../src/encoder/quantise/choose.js';
import { rangeOf } from '../../../src/encoder/quantise/histogram.js';
import { observe } from '../../../src/encoder/quantise/observe.js';
import { planOf } from '../../../src/encoder/quantise/plan.js';
import { quantiseModel } from '../../../src/encoder/quantise/qdq.js';
import { simplifyModel } from '../../../src/encoder/quantise/simplify.js';
import { decodeModel, encodeModel } from '../../../src/onnx/model.js';
import { optimisedModel } from '../../../src/onnx/session.js';
import { floatValues } from '../../../src/onnx/tensor.js';
import { runInIntegers } from './integer-arithmetic.js';
import { embed, images, manifestFor, Network, wholeNetwork } from './networks.js';

const silent = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const dimension = 6;

async function quantised(bytes: Uint8Array, changes: Partial<QuantiseOptions> = {}) {
  const options: QuantiseOptions = {
    ...{ manifest: manifestFor(bytes, dimension), bytes, model: await simplifyModel(bytes), threads: 1 },
    ...{ calibration: images(48), heldOut: images(24, 2), processors: 'any', methods: ['squared-error'] },
    ...{ floatShare: 0 },
    ...changes,
  };
  return chooseQuantisation(options, silent);
}

/** The first weight of each channel is much larger than the others, and what it reads much smaller. */
function unevenNetwork(): Uint8Array {
  const net = new Network();
  const wave = (count: number, size: (i: number) => number): number[] =>
    Array.from({ length: count }, (_, i) => size(i) * Math.sin(i * i + 1));
  const weights = net.constant(
    [4, 3, 3, 3],
    wave(108, (i) => (i < 27 ? 2e-6 : 0.4)),
  );
  const bias = net.constant([4], [1e-5, 1, 1, 1]);
  const read = net.op('Relu', [net.op('Conv', [net.pixels(), weights, bias])]);
  const uneven = net.op(
    'Conv',
    [
      read,
      net.constant(
        [6, 4, 1, 1],
        wave(24, (i) => (i % 4 === 0 ? 90 : 0.3)),
      ),
    ],
    {},
    'uneven',
  );
  const sum = net.op('Add', [uneven, net.conv(read, [6, 4, 1, 1])]);
  return net.encoder(net.op('Flatten', [net.op('GlobalAveragePool', [net.op('Relu', [sum])])]));
}

/** The cosine of two rows. */
function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] ?? NaN, b[i] ?? NaN];
    [ab, aa, bb] = [ab + x * y, aa + x * x, bb + y * y];
  }
  return ab / Math.sqrt(aa * bb);
}

describe('a quantised encoder', () => {
  it('gives what plain loops over whole numbers give', async () => {
    const { bytes } = await quantised(wholeNetwork());
    const pixels = images(6, 3);
    const received = await embed(bytes, pixels, dimension);
    for (const [i, image] of pixels.entries()) {
      const expected = runInIntegers(bytes, image);
      const row = received.subarray(i * dimension, (i + 1) * dimension);
      // One step of a byte, where float32 rounds a product the other way.
      for (const [d, value] of expected.entries())
        expect(Math.abs((row[d] ?? NaN) - value)).toBeLessThan(0.02);
      expect(cosine(row, expected)).toBeGreaterThan(0.9999);
    }
  });

  it('is near to the float encoder on images that it was not calibrated by', async () => {
    const bytes = wholeNetwork();
    const result = await quantised(bytes);
    const pixels = images(16, 9);
    const [float, int8] = [
      await embed(bytes, pixels, dimension),
      await embed(result.bytes, pixels, dimension),
    ];
    for (let i = 0; i < pixels.length; i++) {
      const rows = [float, int8].map((values) => values.subarray(i * dimension, (i + 1) * dimension));
      expect(cosine(rows[0] ?? [], rows[1] ?? [])).toBeGreaterThan(0.995);
    }
    expect(result.meanCosine).toBeGreaterThan(0.998);
  });

  it('is fused by ONNX Runtime into integer operators, and no convolution is left in float', async () => {
    const { bytes } = await quantised(wholeNetwork());
    const fused = decodeModel(await optimisedModel(bytes, 'all')).graph.node.map(({ opType }) => opType);
    const counts = Object.fromEntries(
      [...new Set(fused)].map((op) => [op, fused.filter((one) => one === op).length]),
    );
    expect(counts).toMatchObject({ QLinearConv: 7, QLinearAdd: 1, QLinearGlobalAveragePool: 1, QGemm: 1 });
    for (const op of ['Conv', 'FusedConv', 'Relu', 'Clip', 'BatchNormalization', 'Add', 'Gemm', 'Cast']) {
      expect(fused).not.toContain(op);
    }
  });

  it('takes the pixels as they are: nothing becomes float before the first convolution', async () => {
    const { bytes } = await quantised(wholeNetwork());
    const fused = decodeModel(await optimisedModel(bytes, 'all')).graph;
    const first = fused.node.findIndex(({ opType }) => opType === 'QLinearConv');
    expect(fused.node.slice(0, first).map(({ opType }) => opType)).not.toContain('QuantizeLinear');
  });

  it('has biases whose scale is the float32 product of the scales of input and weights', async () => {
    const { bytes } = await quantised(wholeNetwork());
    const { graph } = decodeModel(bytes);
    const constant = (name = '') => {
      const tensor = graph.initializer.find((one) => one.name === name);
      return (tensor && floatValues(tensor)) ?? new Float32Array();
    };
    const maker = (name = '') => graph.node.find(({ output }) => output.includes(name));
    const convs = graph.node.filter(({ opType }) => opType === 'Conv');
    expect(convs).toHaveLength(7);
    for (const conv of convs) {
      const [x, w, b] = conv.input.map((name) => constant(maker(name)?.input[1]));
      const products = Array.from(w ?? [], (scale) => Math.fround(scale * (x?.[0] ?? NaN)));
      expect(Array.from(b ?? [])).toEqual(products);
    }
  });

  it('has no two weights of one sign and channel that could overflow an int16 with two bytes', async () => {
    const { bytes } = await quantised(wholeNetwork());
    const { graph } = decodeModel(bytes);
    const weights = graph.initializer.filter(
      ({ name }) => name.endsWith('/weights') && name.startsWith('conv'),
    );
    expect(weights).toHaveLength(7);
    for (const { rawData, dims } of weights) {
      const values = [...new Int8Array(Uint8Array.from(rawData).buffer)];
      const per = values.length / Number(dims[0]);
      for (let at = 0; at < values.length; at += per) {
        const sorted = values.slice(at, at + per).sort((a, b) => a - b);
        const [least = 0, second = 0, last = 0, most = 0] = [...sorted.slice(0, 2), ...sorted.slice(-2)];
        expect(255 * (Math.max(0, most) + Math.max(0, last))).toBeLessThanOrEqual(32_767);
        expect(255 * (Math.min(0, least) + Math.min(0, second))).toBeGreaterThanOrEqual(-32_768);
      }
    }
  });

  it('is the same byte for byte when it is made again', async () => {
    const [first, second] = [await quantised(wholeNetwork()), await quantised(wholeNetwork())];
    expect(Buffer.compare(first.bytes, second.bytes)).toBe(0);
  });

  it('leaves a layer in float whose weights differ too much for one scale, where it is not near enough', async () => {
    const bytes = unevenNetwork();
    const all = await quantised(bytes);
    const result = await quantised(bytes, { floatShare: 10 });
    expect(all.meanCosine).toBeLessThan(0.999);
    expect(result.meanCosine).toBeGreaterThan(0.999);
    expect([...result.leftInFloat.keys()]).toContain('uneven');
    const fused = decodeModel(await optimisedModel(result.bytes, 'all')).graph.node.map(
      ({ opType }) => opType,
    );
    expect(fused.filter((op) => op === 'QLinearConv')).toHaveLength(3 - result.leftInFloat.size);
  });

  it('reports the signal and noise of every layer, and every variant that was tried', async () => {
    const { layers, trials } = await quantised(wholeNetwork(), { methods: undefined });
    expect(layers.map(({ kind }) => kind)).toEqual([...Array<string>(7).fill('Conv'), 'Gemm']);
    for (const { sqnrDb } of layers) expect(sqnrDb).toBeGreaterThan(20);
    expect(trials.map(({ what }) => what)).toEqual(
      expect.arrayContaining(['min-max', 'percentile', 'entropy', 'squared-error']),
    );
    const kept = trials.filter((trial) => trial.kept).map(({ meanCosine }) => meanCosine);
    expect(Math.max(...kept)).toBe(Math.max(...trials.map(({ meanCosine }) => meanCosine)));
  });
});

describe('what cannot be quantised is refused by the name of its operator', () => {
  it('a model that is quantised already', async () => {
    const { bytes } = await quantised(wholeNetwork());
    await expect(simplifyModel(bytes)).rejects.toThrow(
      /quantised already, but it has the operator (Dequ|Qu)antizeLinear/,
    );
  });

  it.each(['MatMulNBits', 'MatMulInteger', 'DynamicQuantizeLinear', 'Loop'])(
    'a model with weights of another kind, or parts that nothing here looks into: %s',
    async (operator) => {
      const net = new Network();
      const bytes = net.encoder(net.op(operator, [net.pixels()], {}, 'inside'));
      await expect(simplifyModel(bytes)).rejects.toMatchObject({
        code: 'encoder_unsupported',
        message: expect.stringContaining(`${operator} (inside)`) as string,
      });
    },
  );

  it('a model without weights', async () => {
    const net = new Network();
    const bytes = net.encoder(net.op('Flatten', [net.op('GlobalMaxPool', [net.pixels()])]));
    await expect(quantised(bytes, { manifest: manifestFor(bytes, 3) })).rejects.toThrow(
      /has only .*GlobalMaxPool/,
    );
  });

  it('a model of an opset before QuantizeLinear by channel', async () => {
    const net = new Network({ opset: 12 });
    const mean = net.op('GlobalAveragePool', [net.conv(net.pixels(), [6, 3, 3, 3])]);
    await expect(simplifyModel(net.encoder(net.op('Flatten', [mean])))).rejects.toThrow(
      /opset 13 or later.*opset 12/,
    );
  });

  it('bytes that are no model', async () => {
    await expect(simplifyModel(new Uint8Array([1, 2, 3]))).rejects.toThrow(/ONNX model/);
  });
});

describe('a layer that is left in float between layers in int8', () => {
  it.each([0, 1, 3])('is not made int8 by ONNX Runtime after all: convolution %i', async (place) => {
    const bytes = wholeNetwork();
    const model = await simplifyModel(bytes);
    const conv = model.graph.node.filter(({ opType }) => opType === 'Conv')[place]?.name ?? '';
    const observations = await observe(model, planOf(model), {
      ...{ manifest: manifestFor(bytes, dimension), images: images(8), threads: 1 },
    });
    const ranges = new Map(
      [...observations].map(([name, { histogram }]) => [name, rangeOf(histogram, 'min-max')] as const),
    );
    const plan = planOf(model, new Set([conv]));
    const quantised = encodeModel(quantiseModel({ model, plan, ranges, processors: 'any' }));
    const fused = decodeModel(await optimisedModel(quantised, 'all')).graph.node.map(({ opType }) => opType);
    expect(fused.filter((op) => op === 'QLinearConv')).toHaveLength(6);
    expect(fused.filter((op) => op === 'Conv' || op === 'FusedConv')).toHaveLength(1);
  });
});
