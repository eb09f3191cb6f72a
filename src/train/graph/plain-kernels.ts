import { imageShape, type ImageKernels } from './image-kernels.js';
import { resized, spacedOut } from './rearrange.js';
import { reshaped } from './shape.js';
import type { Tape, Value } from './tape.js';

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
