import { imageShape, type ImageKernels } from './kernels.js';
import { stepMask } from './operations.js';
import type { Tape, Value } from './tape.js';

/**
 * The greatest of every 2 x 2 places; a last odd row or column is left out. Places that are equally great share the
 * gradient evenly (PyTorch gives it to the first): flat areas of an image make such ties.
 */
export function maxPool(tape: Tape, kernels: ImageKernels, x: Value): Value {
  const [, , height, width] = imageShape(x);
  const output = { name: kernels.pool(tape, x, 'MaxPool'), shape: halved(x) };
  const like = (name: string, shape: readonly number[]): Value => ({ name, shape });
  const whole = doubled(output.shape);
  return tape.record({
    inputs: [x],
    output,
    backward: (gradient) => [
      () => {
        const [, , rows, columns] = imageShape(like('', whole));
        const seen = kernels.resize(tape, x, [rows, columns]);
        const below = tape.emit('Sub', [seen, kernels.upsample(tape, output)]); // 0 at the greatest
        const mask = stepMask(tape, below, 1);
        const share = kernels.pool(tape, like(mask, whole), 'AveragePool'); // how many of the four are greatest, / 4
        const each = tape.emit('Div', [gradient, tape.emit('Mul', [share, tape.floats([4])])]);
        const spread = kernels.upsample(tape, like(each, output.shape));
        return kernels.resize(tape, like(tape.emit('Mul', [spread, mask]), whole), [height, width]);
      },
    ],
  });
}

/** The mean over all places: `[n, channels, h, w]` to `[n, channels]`. */
export function globalAveragePool(tape: Tape, kernels: ImageKernels, x: Value): Value {
  const [n, channels, height, width] = imageShape(x);
  return tape.record({
    inputs: [x],
    output: { name: kernels.imageMeans(tape, x), shape: [n, channels] },
    backward: (gradient) => [
      () => {
        const share = tape.emit('Mul', [gradient, tape.floats([1 / (height * width)])]);
        return kernels.spread(tape, share, x.shape);
      },
    ],
  });
}

function halved(x: Value): readonly number[] {
  const [n, channels, height, width] = imageShape(x);
  return [n, channels, Math.floor(height / 2), Math.floor(width / 2)];
}

function doubled([n = 1, channels = 1, height = 1, width = 1]: readonly number[]): readonly number[] {
  return [n, channels, height * 2, width * 2];
}
