import type { Tape, Value } from './tape.js';

/** Rows divided by their length, `[n, d]`; a row shorter than 1e-12 by that, as PyTorch's normalize. */
export function l2Normalise(tape: Tape, x: Value): Value {
  const squared = rowSum(tape, tape.emit('Mul', [x.name, x.name]));
  const length = tape.emit('Max', [tape.emit('Sqrt', [squared]), tape.floats([1e-12])]); // [n, 1]
  const output = { name: tape.emit('Div', [x.name, length]), shape: x.shape };
  const backward = (gradient: string) => [
    () => {
      // What lies along the row does not change its direction.
      const along = rowSum(tape, tape.emit('Mul', [gradient, output.name]));
      const across = tape.emit('Sub', [gradient, tape.emit('Mul', [output.name, along])]);
      return tape.emit('Div', [across, length]);
    },
  ];
  return tape.record({ inputs: [x], output, backward });
}

/** log(sum(exp(x))) of each row, `[n, d]` to `[n, 1]`; the greatest is taken out before exp, so it cannot overflow. */
export function logSumExp(tape: Tape, x: Value): Value {
  const greatest = tape.emit('ReduceMax', [x.name], { attributes: { axes: [1], keepdims: 1 } });
  const powers = tape.emit('Exp', [tape.emit('Sub', [x.name, greatest])]);
  const name = tape.emit('Add', [tape.emit('Log', [rowSum(tape, powers)]), greatest]);
  const output = { name, shape: [x.shape[0] ?? 1, 1] };
  const backward = (gradient: string) => [
    () => {
      const softmax = tape.emit('Exp', [tape.emit('Sub', [x.name, output.name])]);
      return tape.emit('Mul', [softmax, gradient]);
    },
  ];
  return tape.record({ inputs: [x], output, backward });
}

/** The sum of each row, kept as a column `[n, 1]`. */
export function rowSum(tape: Tape, x: string): string {
  return tape.emit('ReduceSum', [x, tape.ints([1])], { attributes: { keepdims: 1 } });
}
