import { describe, expect, it } from 'vitest';
import { batchNorm } from '../../../src/train/graph/batch-norm.js';
import { chooseKernels } from '../../../src/train/graph/blocked-kernels.js';
import { convolution } from '../../../src/train/graph/convolution.js';
import {
  dense,
  rowProducts,
  add,
  multiply,
  relu,
  scale,
  subtract,
  total,
  l2Normalise,
  logSumExp,
  crop,
  padTo,
} from '../../../src/train/graph/operations.js';
import { plainKernels, type ImageKernels } from '../../../src/train/graph/kernels.js';
import { globalAveragePool, maxPool } from '../../../src/train/graph/pooling.js';
import type { Tape, Value } from '../../../src/train/graph/tape.js';
import { drawn, gradientError, type Expression } from './run-tape.js';

const onMatrices: Record<string, Expression> = {
  add: {
    build: add,
    shapes: [
      [2, 3],
      [2, 3],
    ],
  },
  'a value added to itself': { build: (tape, a) => add(tape, a, a), shapes: [[2, 3]] },
  subtract: {
    build: subtract,
    shapes: [
      [2, 3],
      [2, 3],
    ],
  },
  multiply: {
    build: multiply,
    shapes: [
      [2, 3],
      [2, 3],
    ],
  },
  scale: { build: (tape, a) => scale(tape, a, -2.5), shapes: [[2, 3]] },
  relu: { build: relu, shapes: [[5, 5]] },
  total: { build: total, shapes: [[2, 3]] },
  padTo: { build: (tape, a) => padTo(tape, a, [3, 5]), shapes: [[2, 3]] },
  crop: { build: (tape, a) => crop(tape, a, [2, 2]), shapes: [[2, 3]] },
  rowProducts: {
    build: rowProducts,
    shapes: [
      [2, 3],
      [4, 3],
    ],
  },
  'products of rows with themselves': { build: (tape, a) => rowProducts(tape, a, a), shapes: [[3, 2]] },
  dense: {
    build: (tape, x, weight, bias) => dense(tape, x, { weight: some(weight), bias: some(bias) }),
    shapes: [[2, 3], [4, 3], [4]],
  },
  l2Normalise: { build: l2Normalise, shapes: [[3, 4]] },
  logSumExp: { build: logSumExp, shapes: [[3, 4]] },
};

function some(value: Value | undefined): Value {
  if (value === undefined) throw new Error('too few parameters');
  return value;
}

describe('the gradient by central differences', () => {
  it.each(Object.entries(onMatrices))('is that of %s', async (_, expression) => {
    expect(await gradientError(expression)).toBeLessThan(2e-3);
  });
});

const native = await chooseKernels();
const kinds = native.block === 1 ? [plainKernels] : [plainKernels, native];
const filters = [3, 2, 3, 3];

/** Images come out of a convolution, so that both kinds of kernels see them in their own order. */
function images(tape: Tape, kernels: ImageKernels, weight: Value, size = 5): Value {
  const shape = [2, 2, size, size];
  const pixels = { name: tape.floats(drawn(shape, 50), shape), shape };
  return convolution(tape, pixels, { kernels, weight, padding: 1 });
}

/** What is compared: means over places, less the zeros that round channels up. */
function seen(tape: Tape, kernels: ImageKernels, x: Value): Value {
  const squares = globalAveragePool(tape, kernels, multiply(tape, x, x));
  return crop(tape, squares, [x.shape[0] ?? 1, 3]);
}

for (const kernels of kinds) {
  const through =
    (operation: (tape: Tape, x: Value, ...more: Value[]) => Value, size = 5): Expression['build'] =>
    (tape, ...[weight, ...more]) =>
      seen(tape, kernels, operation(tape, images(tape, kernels, some(weight), size), ...more));

  describe(`with channels in blocks of ${kernels.block}, the gradient by central differences`, () => {
    const onImages: Record<string, Expression> = {
      'a convolution': { build: through((_, x) => x), shapes: [filters] },
      'a convolution with bias': {
        build: through((tape, x, weight, bias) =>
          convolution(tape, x, { kernels, weight: padIn(tape, some(weight), x), bias: some(bias) }),
        ),
        shapes: [filters, [3, 3, 2, 2], [3]],
      },
      'stride 2 on an odd size': {
        build: through((tape, x, weight) =>
          convolution(tape, x, { kernels, weight: padIn(tape, some(weight), x), stride: 2, padding: 1 }),
        ),
        shapes: [filters, [3, 3, 3, 3]],
      },
      'stride 2 on an even size': {
        build: through(
          (tape, x, weight) =>
            convolution(tape, x, { kernels, weight: padIn(tape, some(weight), x), stride: 2, padding: 1 }),
          6,
        ),
        shapes: [filters, [3, 3, 3, 3]],
      },
      'a 1 x 1 convolution of stride 2': {
        build: through((tape, x, weight) =>
          convolution(tape, x, { kernels, weight: padIn(tape, some(weight), x), stride: 2 }),
        ),
        shapes: [filters, [3, 3, 1, 1]],
      },
      'max pooling of an odd size': {
        build: through((tape, x) => maxPool(tape, kernels, x)),
        shapes: [filters],
      },
      'max pooling of an even size': {
        build: through((tape, x) => maxPool(tape, kernels, x), 4),
        shapes: [filters],
      },
      'batch norm': {
        build: through((tape, x, gamma, beta) => {
          const { output } = batchNorm(tape, x, { kernels, gamma: some(gamma), beta: some(beta) });
          return multiply(tape, output, output);
        }),
        shapes: [filters, [3], [3]],
      },
    };
    it.each(Object.entries(onImages))('is that of %s', async (_, expression) => {
      expect(await gradientError(expression)).toBeLessThan(5e-3);
    });
  });
}

/** Weights that also take the channels of zeros. */
function padIn(tape: Tape, weight: Value, { shape: [, channels = 1] }: Value): Value {
  const [out = 1, , ...kernel] = weight.shape;
  return padTo(tape, weight, [out, channels, ...kernel]);
}
