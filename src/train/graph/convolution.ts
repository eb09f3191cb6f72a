import { imageShape, type ImageKernels } from './kernels.js';
import { padTo, reshaped } from './operations.js';
import type { Tape, Value } from './tape.js';

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

interface WeightGradient {
  readonly kernels: ImageKernels;
  readonly x: Value;
  readonly dy: Value;
  readonly weight: Value;
  readonly stride: number;
  readonly padding: number;
}

/** Numbers of a chunk's columns: small enough to stay in the cache between the nodes that make and read them. */
const columnNumbers = 2 ** 22;

/**
 * The gradient of a convolution by its weights, `[out, in, h, w]`: the output's gradient `[places, out]` against the
 * columns `[places, h w in]` of the input that each place saw. A chunk of images at a time, one matrix product each
 * that adds to the last: the columns of a whole batch are nine times its size and would go through memory.
 */
function weightGradient(tape: Tape, options: WeightGradient): string {
  const { x, dy, weight } = options;
  const [n, , rows, columns] = imageShape(dy);
  const [out, into, size, breadth] = imageShape(weight);
  const depth = size * breadth * into;
  const most = Math.max(1, Math.floor(columnNumbers / (rows * columns * depth)));
  const chunk = Math.min(n, most);
  const factors: string[][] = [];
  for (let first = 0; first < n; first += chunk) {
    const count = Math.min(chunk, n - first);
    const part = { first, count };
    const seen = seenByPlaces(tape, options, images(tape, x, part)); // [count, rows, columns, depth]
    const places = count * rows * columns;
    const gradient = options.kernels.channelsLast(tape, images(tape, dy, part), out);
    factors.push([reshaped(tape, gradient, [places, out]), reshaped(tape, seen, [places, depth])]);
  }
  // Products after all factors: the runtime walks back from what is asked for, first to what was emitted last, so each
  // product is reached through the one before it, and the columns of one chunk are gone before the next are made.
  let sum: string | undefined;
  for (const inputs of factors) {
    sum = tape.emit('Gemm', sum === undefined ? inputs : [...inputs, sum], { attributes: { transA: 1 } });
  }
  const byPlace = reshaped(tape, sum ?? '', [out, size, breadth, into]);
  return tape.emit('Transpose', [byPlace], { attributes: { perm: [0, 3, 1, 2] } });
}

interface Part {
  readonly first: number;
  readonly count: number;
}

function images(tape: Tape, x: Value, { first, count }: Part): Value {
  const [n, ...rest] = x.shape;
  if (count === n) return x;
  const ends = tape.ints([first + count]);
  const name = tape.emit('Slice', [x.name, tape.ints([first]), ends, tape.ints([0])]);
  return { name, shape: [count, ...rest] };
}

/** What each place of the output saw of the input, channels last. */
function seenByPlaces(
  tape: Tape,
  { kernels, dy, weight, stride, padding }: WeightGradient,
  x: Value,
): string {
  const [, , rows, columns] = imageShape(dy);
  const [, , size, breadth] = imageShape(weight);
  let last = kernels.channelsLast(tape, x, weight.shape[1] ?? 1);
  if (size === 1 && breadth === 1 && stride === 1) return last;
  if (padding > 0)
    last = tape.emit('Pad', [last, tape.ints([0, padding, padding, 0, 0, padding, padding, 0])]);
  const shifted: string[] = [];
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < breadth; column++) {
      const ends = [row + (rows - 1) * stride + 1, column + (columns - 1) * stride + 1];
      shifted.push(
        tape.emit('Slice', [
          last,
          tape.ints([row, column]),
          tape.ints(ends),
          tape.ints([1, 2]),
          tape.ints([stride, stride]),
        ]),
      );
    }
  }
  return shifted.length === 1 ? shifted.join('') : tape.emit('Concat', shifted, { attributes: { axis: 3 } });
}
