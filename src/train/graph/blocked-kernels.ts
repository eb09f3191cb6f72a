import { imageShape, type ImageKernels } from './image-kernels.js';
import { resized, spacedOut } from './rearrange.js';
import { plainKernels } from './plain-kernels.js';
import { reshaped } from './shape.js';
import type { EmitOptions, Tape, Value } from './tape.js';

const domain = 'com.microsoft.nchwc';

/**
 * Images in ONNX Runtime's own order for x86, `[n, channels / block, height, width, block]`, with the convolutions made
 * for it. The runtime uses them by itself only where weights are constants; here the graph lays the weights out anew in
 * each step, which costs little, and the rest of the graph stays in that order.
 */
export function blockedKernels(block: 8 | 16): ImageKernels {
  const emit = (
    tape: Tape,
    type: string,
    inputs: readonly string[],
    attributes: EmitOptions['attributes'] = {},
  ) => tape.emit(type, inputs, { attributes, domain });

  /** What the runtime calls OIHWBiBo, or OIHWBo where the input has fewer channels than a block. */
  function filter(tape: Tape, { name, shape }: Value): string {
    const [out = 1, into = 1, height = 1, width = 1] = shape;
    const [blocks, perm] =
      into < block
        ? [
            [out / block, block, into, height, width],
            [0, 2, 3, 4, 1],
          ]
        : [
            [out / block, block, into / block, block, height, width],
            [0, 2, 4, 5, 3, 1],
          ];
    const turned = tape.emit('Transpose', [reshaped(tape, name, blocks)], { attributes: { perm } });
    return reshaped(tape, turned, shape);
  }

  function imageMeans(tape: Tape, x: Value): string {
    const [n, channels] = imageShape(x);
    return reshaped(tape, emit(tape, 'GlobalAveragePool', [x.name]), [n, channels]);
  }

  const planes = (x: Value) => {
    const [n, channels, height, width] = imageShape(x);
    return { outer: (n * channels) / block, height, width, inner: block };
  };

  return {
    block,
    convolve: (tape, { input, weight, bias, stride, pads }) =>
      emit(tape, 'Conv', [input.name, filter(tape, weight), ...(bias === undefined ? [] : [bias])], {
        kernel_shape: weight.shape.slice(2),
        strides: [stride, stride],
        pads,
      }),
    // A convolution of each channel by itself, of one place: one pass where a product and a sum would be two.
    perChannel: (tape, x, { factor, shift, plus }) => {
      const [, channels] = imageShape(x);
      const ones = (): string => tape.floats(new Float32Array(channels).fill(1), [channels, 1, 1, 1]);
      const weight = factor === undefined ? ones() : reshaped(tape, factor, [channels, 1, 1, 1]);
      const optional = [shift ?? '', plus ?? ''];
      while (optional.at(-1) === '') optional.pop();
      return emit(tape, 'Conv', [x.name, weight, ...optional], { group: channels, kernel_shape: [1, 1] });
    },
    channelMeans: (tape, x) =>
      tape.emit('ReduceMean', [imageMeans(tape, x)], { attributes: { axes: [0], keepdims: 0 } }),
    imageMeans,
    spread: (tape, x, shape) => {
      const [n = 1, channels = 1, height = 1, width = 1] = shape;
      const apart = reshaped(tape, x, [n, channels / block, 1, block]);
      const everywhere = tape.emit('Expand', [
        apart,
        tape.ints([n, channels / block, height * width, block]),
      ]);
      return reshaped(tape, everywhere, shape);
    },
    pool: (tape, x, kind) => emit(tape, kind, [x.name], { kernel_shape: [2, 2], strides: [2, 2] }),
    upsample: (tape, x) => emit(tape, 'Upsample', [x.name], { scales: [1, 1, 2, 2] }),
    spaceOut: (tape, x, stride) => {
      const [n, channels, height, width] = imageShape(x);
      const spaced = spacedOut(tape, x.name, { ...planes(x), stride });
      return reshaped(tape, spaced, [n, channels, height * stride, width * stride]);
    },
    resize: (tape, x, to) => {
      const [n, channels] = imageShape(x);
      return reshaped(tape, resized(tape, x.name, { ...planes(x), to }), [n, channels, ...to]);
    },
    channelsLast: (tape, x, channels) => {
      if (imageShape(x)[1] < block) return plainKernels.channelsLast(tape, x, channels);
      return emit(tape, 'ReorderOutput', [x.name], { channels, channels_last: 1 });
    },
  };
}
