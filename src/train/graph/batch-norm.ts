import type { ImageKernels } from './kernels.js';
import { padTo } from './operations.js';
import type { Tape, Value } from './tape.js';

/** PyTorch's default. */
export const batchNormEpsilon = 1e-5;

export interface BatchNormOptions {
  readonly kernels: ImageKernels;
  /** `[channels]`, before rounding up to the kernels' block. */
  readonly gamma: Value;
  readonly beta: Value;
}

export interface BatchNorm {
  readonly output: Value;
  /** Names of this batch's mean and biased variance by channel, rounded up. */
  readonly mean: string;
  readonly variance: string;
}

/** Batch norm in training mode (Ioffe & Szegedy 2015, arXiv:1502.03167), over images and places. */
export function batchNorm(tape: Tape, x: Value, { kernels, ...affine }: BatchNormOptions): BatchNorm {
  const channels = x.shape[1] ?? 1;
  const gamma = padTo(tape, affine.gamma, [channels]);
  const beta = padTo(tape, affine.beta, [channels]);
  const like = (name: string): Value => ({ name, shape: x.shape });

  const mean = kernels.channelMeans(tape, x);
  const minusMean = tape.emit('Neg', [mean]);
  // The variance of what is left of the mean, not the mean of squares less the square of the mean, which cancels.
  const centred = kernels.perChannel(tape, x, { shift: minusMean });
  const variance = kernels.channelMeans(tape, like(tape.emit('Mul', [centred, centred])));
  const deviation = tape.emit('Sqrt', [tape.emit('Add', [variance, tape.floats([batchNormEpsilon])])]);
  const factor = tape.emit('Div', [gamma.name, deviation]);
  const name = kernels.perChannel(tape, like(centred), { factor, shift: beta.name });

  const output = tape.record({
    inputs: [x, gamma, beta],
    output: like(name),
    backward: (gradient) => {
      // x^ is made anew: kept, it would hold as much memory as x from here to the end of the forward pass.
      const inverse = tape.emit('Div', [tape.floats([1]), deviation]);
      const shift = tape.emit('Mul', [minusMean, inverse]);
      const normal = kernels.perChannel(tape, x, { factor: inverse, shift });
      const meanGradient = kernels.channelMeans(tape, like(gradient));
      const meanProduct = kernels.channelMeans(tape, like(tape.emit('Mul', [gradient, normal])));
      const places = tape.floats([(x.shape[0] ?? 1) * (x.shape[2] ?? 1) * (x.shape[3] ?? 1)]);
      return [
        () => {
          const ofNormal = tape.emit('Neg', [tape.emit('Mul', [factor, meanProduct])]);
          const plus = kernels.perChannel(tape, like(normal), { factor: ofNormal });
          const back = tape.emit('Neg', [tape.emit('Mul', [factor, meanGradient])]);
          return kernels.perChannel(tape, like(gradient), { factor, shift: back, plus });
        },
        () => tape.emit('Mul', [meanProduct, places]),
        () => tape.emit('Mul', [meanGradient, places]),
      ];
    },
  });
  return { output, mean, variance };
}
