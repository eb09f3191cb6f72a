import type { Tape, Value } from './tape.js';

export interface PixelsOptions {
  readonly views: number;
  readonly height: number;
  readonly width: number;
  /** By channel, of pixels scaled to 0..1. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** The input `pixels`, uint8 `[views, h, w, 3]`, as float32 `[views, 3, h, w]`, less the mean and over the deviation. */
export function normalisedPixels(tape: Tape, { views, height, width, mean, std }: PixelsOptions): Value {
  const planes = tape.emit('Transpose', ['pixels'], { attributes: { perm: [0, 3, 1, 2] } });
  const floats = tape.emit('Cast', [planes], { attributes: { to: 1 } });
  const factors = tape.floats(
    std.map((deviation) => 1 / (255 * deviation)),
    [3, 1, 1],
  );
  const shifts = tape.floats(
    mean.map((value, i) => -value / (std[i] ?? 1)),
    [3, 1, 1],
  );
  const name = tape.emit('Add', [tape.emit('Mul', [floats, factors]), shifts]);
  return { name, shape: [views, 3, height, width] };
}
