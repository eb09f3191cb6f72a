import type { ConvolutionLayer, Layers } from './architectures/layers.js';
import { batchNorm, type BatchNorm } from './graph/batch-norm.js';
import { convolution } from './graph/convolution.js';
import { add, relu } from './graph/elementwise.js';
import type { ImageKernels } from './graph/image-kernels.js';
import { globalAveragePool, maxPool } from './graph/pooling.js';
import { crop } from './graph/shape.js';
import type { Tape, Value } from './graph/tape.js';

export interface TrainingLayersOptions {
  readonly tape: Tape;
  readonly kernels: ImageKernels;
  readonly parameter: (name: string) => Value;
  /** Features of an image, without the zeros that round channels up. */
  readonly dimension: number;
  /** Told of each batch norm's statistics as it is built. */
  readonly onBatchNorm: (name: string, batch: BatchNorm) => void;
}

/** An architecture's layers as operations on the tape. */
export function trainingLayers(options: TrainingLayersOptions): Layers<Value, Value> {
  const { tape, kernels, parameter, dimension, onBatchNorm } = options;
  return {
    convolution: (x, { name, stride, padding, bias = false }: ConvolutionLayer) =>
      convolution(tape, x, {
        kernels,
        weight: parameter(`${name}.weight`),
        ...(bias ? { bias: parameter(`${name}.bias`) } : {}),
        ...(stride === undefined ? {} : { stride }),
        ...(padding === undefined ? {} : { padding }),
      }),
    batchNorm: (x, name) => {
      const [gamma, beta] = [parameter(`${name}.weight`), parameter(`${name}.bias`)];
      const batch = batchNorm(tape, x, { kernels, gamma, beta });
      onBatchNorm(name, batch);
      return batch.output;
    },
    relu: (x) => relu(tape, x),
    maxPool: (x) => maxPool(tape, kernels, x),
    add: (a, b) => add(tape, a, b),
    globalAveragePool: (x) => {
      const means = globalAveragePool(tape, kernels, x);
      return crop(tape, means, [x.shape[0] ?? 1, dimension]);
    },
  };
}
