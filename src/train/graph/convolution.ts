import { imageShape, type ImageKernels } from './image-kernels.js';
import { padTo, reshaped } from './shape.js';
import type { Tape, Value } from './tape.js';
import { weightGradient } from './weight-gradient.js';

export interface ConvolutionOptions {
  readonly kernels: ImageKernels;
  /** `[out, in, height, width]` */
  readonly weight: Value;
  /** `[out]` */
  readonly bias?: Value | undefined;
  readonly stride?: number;
  /** Zeros on every side. */
  readonly padding?: number;
}

/** A convolution: `[n, in, h, w]` to `[n, out, h', w']`, channels rounded up to the kernels' block with zeros. */
export function convolution(tape: Tape, x: Value, options: ConvolutionOptions): Value {
  const { kernels, stride = 1, padding = 0 } = options;
  const [n, into, height, width] = imageShape(x);
  const [filters, , size, breadth] = imageShape(options.weight);
  const out = roundUp(filters, kernels.block);
  const weight = padTo(tape, options.weight, [out, into, size, breadth]);
  const bias = options.bias === undefined ? undefined : padTo(tape, options.bias, [out]);

  const pads = [padding, padding, padding, padding] as const;
  const name = kernels.convolve(tape, { input: x, weight, bias: bias?.name, stride, pads });
  const places = (length: number, kernel: number): number =>
    Math.floor((length + 2 * padding - kernel) / stride) + 1;
  const output = { name, shape: [n, out, places(height, size), places(width, breadth)] };
  return tape.record({
    inputs: [x, options.weight, ...(bias === undefined ? [] : [bias])],
    output,
    backward: (gradient) => {
      const dy = { name: gradient, shape: output.shape };
      return [
        () => inputGradient(tape, { kernels, dy, weight, stride, padding, to: [height, width] }),
        () => weightGradient(tape, { kernels, x, dy, weight: options.weight, stride, padding }),
        () => tape.emit('Mul', [kernels.channelMeans(tape, dy), tape.floats([sizeOfPlaces(dy)])]),
      ];
    },
  });
}

interface InputGradient {
  readonly kernels: ImageKernels;
  readonly dy: Value;
  readonly weight: Value;
  readonly stride: number;
  readonly padding: number;
  /** Height and width of the input. */
  readonly to: readonly [number, number];
}

/** A convolution of the output's gradient, spaced out by the stride, with the weights turned by half a turn. */
function inputGradient(tape: Tape, { kernels, dy, weight, stride, padding, to }: InputGradient): string {
  const [n, out, rows, columns] = imageShape(dy);
  const [, into, size, breadth] = imageShape(weight);
  const turned = { name: halfTurn(tape, weight), shape: [into, out, size, breadth] };
  let spaced = dy;
  if (stride > 1) {
    const shape = [n, out, rows * stride, columns * stride];
    spaced = { name: kernels.spaceOut(tape, dy, stride), shape };
  }
  const [height, width] = to;
  // Where the last rows of the input were never read, the spaced gradient is longer than needed: drop its last zeros.
  const end = (length: number, places: number): number => length - stride * places + padding;
  const [bottom, right] = [end(height, rows), end(width, columns)];
  if (bottom < 0 || right < 0) {
    const [, , spacedRows, spacedColumns] = imageShape(spaced);
    const kept = [spacedRows + Math.min(0, bottom), spacedColumns + Math.min(0, right)] as const;
    spaced = { name: kernels.resize(tape, spaced, kept), shape: [n, out, ...kept] };
  }
  return kernels.convolve(tape, {
    input: spaced,
    weight: turned,
    stride: 1,
    pads: [size - 1 - padding, breadth - 1 - padding, Math.max(0, bottom), Math.max(0, right)],
  });
}

/** `[out, in, h, w]` to `[in, out, h, w]` with both axes of the kernel backward. */
function halfTurn(tape: Tape, weight: Value): string {
  const [out, into, size, breadth] = imageShape(weight);
  const swapped = tape.emit('Transpose', [weight.name], { attributes: { perm: [1, 0, 2, 3] } });
  const last = size * breadth;
  if (last === 1) return swapped;
  const flat = reshaped(tape, swapped, [into * out, last]);
  const backward = tape.ints(Array.from({ length: last }, (_, i) => last - 1 - i));
  return reshaped(tape, tape.emit('Gather', [flat, backward], { attributes: { axis: 1 } }), [
    into,
    out,
    size,
    breadth,
  ]);
}

const roundUp = (count: number, block: number): number => Math.ceil(count / block) * block;

function sizeOfPlaces(x: Value): number {
  const [n, , height, width] = imageShape(x);
  return n * height * width;
}
