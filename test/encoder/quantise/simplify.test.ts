import { describe, expect, it } from 'vitest';
import { equaliseChannels } from '../../../src/encoder/quantise/equalise.js';
import { observe } from '../../../src/encoder/quantise/observe.js';
import { planOf } from '../../../src/encoder/quantise/plan.js';
import { simplifyModel } from '../../../src/encoder/quantise/simplify.js';
import { encodeModel, type GraphModel } from '../../../src/onnx/model.js';
import { embed, images, manifestFor, Network, wholeNetwork } from './networks.js';

const pads = [1, 1, 1, 1];

function operators({ graph }: GraphModel): string[] {
  return graph.node.map(({ opType }) => opType);
}

async function expectSame(before: Uint8Array, after: Uint8Array, dimension: number): Promise<void> {
  const pixels = images(5, 4);
  const [expected, received] = [
    await embed(before, pixels, dimension),
    await embed(after, pixels, dimension),
  ];
  const apart = received.map((value, i) => Math.abs(value - (expected[i] ?? NaN)));
  expect(Math.max(...apart)).toBeLessThan(2e-4);
}

/** One convolution over prepared pixels, then the mean of each channel. */
function onlyConv(prepare: (net: Network) => string, attributes: Record<string, number[]> = {}): Uint8Array {
  const net = new Network();
  const conv = net.op('Relu', [net.conv(prepare(net), [6, 3, 3, 3], attributes)]);
  return net.encoder(net.op('Flatten', [net.op('GlobalAveragePool', [conv])]));
}

describe('scaling, mean and deviation of the pixels', () => {
  const reversed = (net: Network): string => {
    const planes = net.op('Transpose', ['pixels'], { perm: [0, 3, 1, 2] });
    const swapped = net.op('Gather', [net.op('Cast', [planes], { to: 1 }), net.indices([2, 1, 0])], {
      axis: 1,
    });
    return net.op('Mul', [
      net.op('Add', [swapped, net.constant([3, 1, 1], [-99, -110, -121])]),
      net.constant([], [0.02]),
    ]);
  };
  it.each([
    ['without padding, different for each channel', (net: Network) => net.pixels(), {}],
    [
      'with padding by one mean that is a whole pixel value',
      (net: Network) => net.pixels([127 / 255, 127 / 255, 127 / 255]),
      { pads },
    ],
    ['with channels in reverse', reversed, {}],
  ])('become part of the first convolution %s', async (_, prepare, attributes) => {
    const bytes = onlyConv(prepare, attributes);
    const simplified = await simplifyModel(bytes);
    expect(operators(simplified).slice(0, 3)).toEqual(['Transpose', 'DequantizeLinear', 'Conv']);
    await expectSame(bytes, encodeModel(simplified), 6);
  });

  it('stay before a convolution that pads where the means are different', async () => {
    const bytes = onlyConv((net) => net.pixels(), { pads });
    const simplified = await simplifyModel(bytes);
    expect(operators(simplified)).not.toContain('DequantizeLinear');
    await expectSame(bytes, encodeModel(simplified), 6);
  });
});

describe('a batch norm behind a maximum pool', () => {
  const network = (least: number, activation: 'Relu' | 'Identity' = 'Relu'): Uint8Array => {
    const net = new Network();
    const pooled = net.op('MaxPool', [net.conv(net.pixels(), [6, 3, 3, 3])], {
      kernel_shape: [2, 2],
      strides: [2, 2],
    });
    const active = net.op(activation, [net.batchNorm(pooled, 6, least)]);
    return net.encoder(net.op('Flatten', [net.op('GlobalAveragePool', [active])]));
  };

  it('goes into the convolution where its scales are positive, and the ReLU before the pool', async () => {
    const bytes = network(0.5);
    const simplified = await simplifyModel(bytes);
    const found = operators(simplified);
    expect(found).not.toContain('BatchNormalization');
    expect(found.indexOf('Relu')).toBeLessThan(found.indexOf('MaxPool'));
    await expectSame(bytes, encodeModel(simplified), 6);
  });

  it('stays where a scale is negative, which turns a maximum into a minimum', async () => {
    const bytes = network(-1.5, 'Identity');
    const simplified = await simplifyModel(bytes);
    expect(operators(simplified)).toContain('BatchNormalization');
    await expectSame(bytes, encodeModel(simplified), 6);
  });
});

describe('equalised channels', () => {
  it('change no embedding of the images they were equalised by', async () => {
    const bytes = wholeNetwork();
    const model = await simplifyModel(bytes);
    const run = { manifest: manifestFor(bytes, 6), images: images(5, 4), threads: 1 };
    const evened = equaliseChannels(model, await observe(model, planOf(model), run));
    expect(evened).toBeDefined();
    if (evened !== undefined) await expectSame(bytes, encodeModel(evened), 6);
  });
});
