import { imageShape, type ImageKernels } from './image-kernels.js';
import { reshaped } from './shape.js';
import type { Tape, Value } from './tape.js';

export interface WeightGradient {
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
export function weightGradient(tape: Tape, options: WeightGradient): string {
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
