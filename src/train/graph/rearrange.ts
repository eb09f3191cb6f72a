import { reshaped } from './shape.js';
import type { Tape } from './tape.js';

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
