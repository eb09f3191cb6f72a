import { reshaped } from './operations.js';
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

/** Images as ONNX has them, channel by channel, in standard operators only: for any machine and execution provider. */
export const plainKernels: ImageKernels = {
  block: 1,
  convolve: (tape, { input, weight, bias, stride, pads }) =>
    tape.emit('Conv', [input.name, weight.name, ...(bias === undefined ? [] : [bias])], {
      attributes: { kernel_shape: weight.shape.slice(2), strides: [stride, stride], pads },
    }),
  perChannel: (tape, x, { factor, shift, plus }) => {
    const channels = (name: string): string => reshaped(tape, name, [-1, 1, 1]);
    let { name } = x;
    if (factor !== undefined) name = tape.emit('Mul', [name, channels(factor)]);
    if (shift !== undefined) name = tape.emit('Add', [name, channels(shift)]);
    return plus === undefined ? name : tape.emit('Add', [name, plus]);
  },
  channelMeans: (tape, x) =>
    tape.emit('ReduceMean', [imageMeans(tape, x)], { attributes: { axes: [0], keepdims: 0 } }),
  imageMeans,
  spread: (tape, x, shape) => {
    const [n = 1, channels = 1] = shape;
    return tape.emit('Expand', [reshaped(tape, x, [n, channels, 1, 1]), tape.ints(shape)]);
  },
  pool: (tape, x, kind) =>
    tape.emit(kind, [x.name], { attributes: { kernel_shape: [2, 2], strides: [2, 2] } }),
  upsample: (tape, x) => {
    const [n, channels, height, width] = imageShape(x);
    const apart = reshaped(tape, x.name, [n * channels * height, 1, width, 1]);
    const four = tape.emit('Expand', [apart, tape.ints([n * channels * height, 2, width, 2])]);
    return reshaped(tape, four, [n, channels, height * 2, width * 2]);
  },
  spaceOut: (tape, x, stride) => {
    const [n, channels, height, width] = imageShape(x);
    const spaced = spacedOut(tape, x.name, { outer: n * channels, height, width, inner: 1, stride });
    return reshaped(tape, spaced, [n, channels, height * stride, width * stride]);
  },
  resize: (tape, x, to) => {
    const [n, channels, height, width] = imageShape(x);
    const name = resized(tape, x.name, { outer: n * channels, height, width, inner: 1, to });
    return reshaped(tape, name, [n, channels, ...to]);
  },
  channelsLast: (tape, x) => tape.emit('Transpose', [x.name], { attributes: { perm: [0, 2, 3, 1] } }),
};

function imageMeans(tape: Tape, x: Value): string {
  return tape.emit('ReduceMean', [x.name], { attributes: { axes: [2, 3], keepdims: 0 } });
}

/** An image in memory: `outer` planes of `height` x `width` places of `inner` numbers each. */
export interface Planes {
  readonly outer: number;
  readonly height: number;
  readonly width: number;
  readonly inner: number;
}

/** Zeros between places, whichever way channels lie. */
export function spacedOut(tape: Tape, x: string, planes: Planes & { readonly stride: number }): string {
  const { outer, height, width, inner, stride } = planes;
  const apart = reshaped(tape, x, [outer * height, 1, width, 1, inner]);
  const pads = tape.ints([0, 0, 0, 0, 0, 0, stride - 1, 0, stride - 1, 0]);
  return tape.emit('Pad', [apart, pads]);
}

/** Rows and columns dropped at the end, or zeros added there. */
export function resized(
  tape: Tape,
  x: string,
  { outer, height, width, inner, to }: Planes & { readonly to: readonly [number, number] },
): string {
  const [rows, columns] = to;
  if (rows === height && columns === width) return x;
  let planes = reshaped(tape, x, [outer, height, width, inner]);
  if (rows < height || columns < width) {
    const [starts, ends] = [tape.ints([0, 0]), tape.ints([Math.min(rows, height), Math.min(columns, width)])];
    planes = tape.emit('Slice', [planes, starts, ends, tape.ints([1, 2])]);
  }
  if (rows > height || columns > width) {
    const after = [Math.max(0, rows - height), Math.max(0, columns - width)];
    planes = tape.emit('Pad', [planes, tape.ints([0, 0, 0, 0, 0, ...after, 0])]);
  }
  return planes;
}
