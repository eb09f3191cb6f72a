import type { Tape, Value } from './tape.js';

interface ConvolutionNodes {
  readonly input: Value;
  /** `[out, in, height, width]`, as PyTorch keeps it. */
  readonly weight: Value;
  /** The name of `[out]`, if there is one. */
  readonly bias?: string | undefined;
  readonly stride: number;
  /** Zeros around the input: top, left, bottom, right. */
  readonly pads: readonly [number, number, number, number];
}

interface PerChannel {
  /** `[channels]` each; left out, 1 and 0. */
  readonly factor?: string | undefined;
  readonly shift?: string | undefined;
  /** Another image to add. */
  readonly plus?: string | undefined;
}

/**
 * The nodes that know how an image `[n, channels, height, width]` lies in memory. Everything else (sums, products,
 * ReLU) takes the numbers as they come. Docs: docs/decisions/007-the-training-step.md.
 */
export interface ImageKernels {
  /** Channels come in multiples of this; the three of an image before its first convolution need not. */
  readonly block: number;
  convolve(tape: Tape, nodes: ConvolutionNodes): string;
  /** `factor * x + shift + plus`, factor and shift by channel. */
  perChannel(tape: Tape, x: Value, terms: PerChannel): string;
  /** Means over images and places, `[channels]`. */
  channelMeans(tape: Tape, x: Value): string;
  /** Means over places, `[n, channels]`. */
  imageMeans(tape: Tape, x: Value): string;
  /** Each number of `[n, channels]` at every place of an image of `shape`. */
  spread(tape: Tape, x: string, shape: readonly number[]): string;
  /** The greatest, or the mean, of every 2 x 2 places; a last odd row or column is left out. */
  pool(tape: Tape, x: Value, kind: 'MaxPool' | 'AveragePool'): string;
  /** Every place four times, 2 x 2. */
  upsample(tape: Tape, x: Value): string;
  /** Zeros between places: as many rows and columns as `stride` times those of `x`. */
  spaceOut(tape: Tape, x: Value, stride: number): string;
  /** Zeros added after the last row and column, or rows and columns dropped, up to `[height, width]`. */
  resize(tape: Tape, x: Value, size: readonly [number, number]): string;
  /** The first `channels` of an image, `[n, height, width, channels]` in the plain order. */
  channelsLast(tape: Tape, x: Value, channels: number): string;
}

/** The dimensions of an image `[n, channels, height, width]`. */
export function imageShape({ shape }: Value): readonly [number, number, number, number] {
  const [n = 1, channels = 1, height = 1, width = 1] = shape;
  return [n, channels, height, width];
}
