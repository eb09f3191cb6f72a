import { describe, expect, it } from 'vitest';
import { chooseQuantisation } from '../../../src/encoder/quantise/choose.js';
import { simplifyModel } from '../../../src/encoder/quantise/simplify.js';
import { scaleByToken } from '../../../src/encoder/quantise/tokens.js';
import { decodeModel, encodeModel } from '../../../src/onnx/model.js';
import { optimisedModel } from '../../../src/onnx/session.js';
import { embed, images, manifestFor, Network } from './networks.js';

const silent = { start: () => undefined, advance: () => undefined, finish: () => undefined };
const dimension = 6;
const width = 16;

async function quantised(bytes: Uint8Array) {
  return chooseQuantisation(
    {
      ...{ manifest: manifestFor(bytes, dimension), bytes, model: await simplifyModel(bytes), threads: 1 },
      ...{ calibration: images(48), heldOut: images(24, 2), processors: 'any', methods: ['min-max'] },
      floatShare: 0,
    },
    silent,
  );
}

/** What PyTorch exports of a vision transformer: patches, a class token, blocks of attention and Erf-GELU: [n, 6]. */
class Transformer extends Network {
  dense(input: string, [from, to]: readonly [number, number]): string {
    const range = 2 / Math.sqrt(from);
    const product = this.op('MatMul', [input, this.drawn([from, to], -range, range)]);
    return this.op('Add', [this.drawn([to], -0.2, 0.2), product]);
  }

  norm(input: string): string {
    return this.op('LayerNormalization', [input, this.drawn([width], 0.5, 2), this.drawn([width])]);
  }

  gelu(input: string): string {
    const erf = this.op('Erf', [this.op('Div', [input, this.constant([], [Math.SQRT2])])]);
    const gate = this.op('Mul', [input, this.op('Add', [erf, this.constant([], [1])])]);
    return this.op('Mul', [gate, this.constant([], [0.5])]);
  }

  attention(input: string): string {
    const heads = (value: string): string =>
      this.op('Transpose', [this.op('Reshape', [value, this.indices([0, -1, 2, width / 2])])], {
        perm: [0, 2, 1, 3],
      });
    const [q = '', k = '', v = ''] = [0, 1, 2].map(() => heads(this.dense(input, [width, width])));
    const keys = this.op('Transpose', [k], { perm: [0, 1, 3, 2] });
    const scaled = this.op('Mul', [this.op('MatMul', [q, keys]), this.constant([], [Math.sqrt(2 / width)])]);
    const mixed = this.op('MatMul', [this.op('Softmax', [scaled], { axis: -1 }), v]);
    const joined = this.op('Reshape', [
      this.op('Transpose', [mixed], { perm: [0, 2, 1, 3] }),
      this.indices([0, -1, width]),
    ]);
    return this.dense(joined, [width, width]);
  }

  block(input: string): string {
    const attended = this.op('Add', [this.attention(this.norm(input)), input]);
    const hidden = this.gelu(this.dense(this.norm(attended), [width, 2 * width]));
    return this.op('Add', [this.dense(hidden, [2 * width, width]), attended]);
  }
}

function visionTransformer(outlier = 1): Uint8Array {
  const net = new Transformer();
  const patches = net.conv(net.pixels(), [width, 3, 4, 4], { strides: [4, 4] });
  const rows = net.op('Reshape', [patches, net.indices([0, width, 9])]);
  const placed = net.op('Add', [net.op('Transpose', [rows], { perm: [0, 2, 1] }), net.drawn([1, 9, width])]);
  // A few tokens much larger than the others, as large models have.
  const sizes = net.constant([1, 9, 1], [outlier, ...Array<number>(8).fill(1)]);
  const first = net.dense(net.op('Mul', [placed, sizes]), [width, width]);
  const tokens = net.norm(net.block(net.block(first)));
  const cls = net.op('Gather', [tokens, net.index(1)], { axis: 1 });
  return net.encoder(net.op('Gemm', [cls, net.drawn([width, 6]), net.drawn([6])]));
}

const opsOf = async (bytes: Uint8Array): Promise<string[]> =>
  decodeModel(await optimisedModel(bytes, 'all')).graph.node.map(({ opType }) => opType);

describe('a transformer', () => {
  it('is near to its float encoder, with its products by constants in int8 and attention in float', async () => {
    const result = await quantised(visionTransformer());
    expect(result.meanCosine).toBeGreaterThan(0.995);
    const kinds = result.layers.map(({ kind }) => kind);
    expect(kinds).toEqual(['Conv', ...Array<string>(13).fill('MatMul'), 'Gemm']);
    for (const op of ['Softmax', 'LayerNormalization', 'Erf'])
      expect(result.floatOperators.get(op)).toBeGreaterThan(0);
  });

  it('is fused by ONNX Runtime into integer products, and only the two of attention in each block are left in float', async () => {
    const ops = await opsOf((await quantised(visionTransformer())).bytes);
    const count = (...of: string[]): number => ops.filter((op) => of.includes(op)).length;
    expect(count('QLinearConv')).toBe(1);
    expect(count('MatMulIntegerToFloat', 'QLinearMatMul')).toBe(13);
    expect(count('MatMul', 'FusedMatMul')).toBe(4);
    expect(count('Gelu', 'BiasGelu')).toBe(2);
  });

  it('gives each token a scale of its own where one token is much larger than the others', async () => {
    const result = await quantised(visionTransformer(300));
    const [whole] = result.trials;
    expect(whole).toMatchObject({ what: 'min-max' });
    const kept = result.trials.filter((trial) => trial.kept);
    expect(kept.map(({ what }) => what)).toContain('min-max, a scale for each token');
    expect(1 - result.meanCosine).toBeLessThan(0.5 * (1 - (whole?.meanCosine ?? NaN)));
  });

  it('gives the same embedding of an image whatever lies beside it', async () => {
    const { bytes } = await quantised(visionTransformer(300));
    const [image, ...others] = images(4, 5);
    if (image === undefined) throw new Error('Expected an image');
    const alone = await embed(bytes, [image], dimension);
    const among = await embed(bytes, [image, ...others, image.map((value) => 255 - value)], dimension);
    expect([...among.subarray(0, dimension)]).toEqual([...alone]);
  });
});

describe('a scale for each token', () => {
  it.each([17, 18])('changes no embedding by itself, in opset %i', async (opset) => {
    const net = new Network({ opset });
    const patches = net.op('Reshape', [net.pixels(), net.indices([0, 3, -1])]);
    const tokens = net.op('Transpose', [patches], { perm: [0, 2, 1] });
    const products = net.op('MatMul', [tokens, net.drawn([3, 6])]);
    const last = net.op('Gather', [products, net.index(5)], { axis: 1 });
    const bytes = encodeModel(decodeModel(net.encoder(last)));
    const scaled = scaleByToken(decodeModel(bytes));
    const pixels = [...images(6, 4), new Uint8Array(images(1)[0]?.length ?? 0)];
    const [before, after] = [
      await embed(bytes, pixels, dimension),
      await embed(scaled ? encodeModel(scaled) : new Uint8Array(), pixels, dimension),
    ];
    for (const [i, value] of before.entries()) expect(after[i]).toBeCloseTo(value, 5);
  });

  it('is nothing where no product is by constants', () => {
    const net = new Network();
    const mean = net.op('GlobalAveragePool', [net.conv(net.pixels(), [6, 3, 3, 3])]);
    expect(scaleByToken(decodeModel(net.encoder(net.op('Flatten', [mean]))))).toBeUndefined();
  });
});
