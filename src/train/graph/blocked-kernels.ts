import { encodeModel, model, tensorInfo, untypedInfo } from '../../onnx/model.js';
import { openSession, Tensor } from '../../onnx/session.js';
import { imageShape, plainKernels, resized, spacedOut, type ImageKernels } from './kernels.js';
import { reshaped } from './operations.js';
import { createTape, type EmitOptions, type Tape, type Value } from './tape.js';

/**
 * The fastest kernels that this machine's ONNX Runtime has: blocks of 16 channels with AVX-512, of 8 on other x86, plain
 * elsewhere. The runtime does not tell its block, so a small convolution is tried and its result looked at.
 */
export async function chooseKernels(): Promise<ImageKernels> {
  if (process.arch !== 'x64') return plainKernels;
  for (const block of [16, 8] as const) {
    const kernels = blockedKernels(block);
    if (await isRight(kernels)) return kernels;
  }
  return plainKernels;
}

const channels = 16;

/** Whether a convolution that copies channel i, plus a hundredth of each later one, does. */
async function isRight(kernels: ImageKernels): Promise<boolean> {
  const tape = createTape();
  const shape = [channels, channels, 1, 1];
  const weight = Float32Array.from({ length: channels * channels }, (_, i) => {
    const [out, into] = [Math.floor(i / channels), i % channels];
    return out === into ? 1 : into > out ? 0.01 : 0;
  });
  const input = { name: 'x', shape: [1, channels, 1, 1] };
  const output = kernels.convolve(tape, {
    input,
    weight: { name: tape.floats(weight, shape), shape },
    stride: 1,
    pads: [0, 0, 0, 0],
  });
  tape.rename(output, 'y');
  const bytes = encodeModel(
    model({
      name: 'probe',
      inputs: [tensorInfo({ name: 'x', elementType: 'float32', dims: input.shape })],
      outputs: [untypedInfo('y')],
      nodes: tape.nodes,
      initializers: tape.constants,
      domains: [...tape.domains],
    }),
  );
  // At one place, blocks follow one another as channels do in the plain order.
  const x = Float32Array.from({ length: channels }, (_, i) => i + 1);
  try {
    const session = await openSession({ model: bytes, threads: 1 });
    const { y } = await session.run({ x: new Tensor('float32', x, input.shape) });
    await session.release();
    const received = y?.data;
    return (
      received instanceof Float32Array &&
      received.every((value, i) => {
        const later = x.subarray(i + 1).reduce((sum, one) => sum + one, 0);
        return Math.abs(value - (i + 1 + 0.01 * later)) < 1e-3;
      })
    );
  } catch {
    return false;
  }
}

const domain = 'com.microsoft.nchwc';

/**
 * Images in ONNX Runtime's own order for x86, `[n, channels / block, height, width, block]`, with the convolutions made
 * for it. The runtime uses them by itself only where weights are constants; here the graph lays the weights out anew in
 * each step, which costs little, and the rest of the graph stays in that order.
 */
function blockedKernels(block: 8 | 16): ImageKernels {
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
