import type { Tape, Value } from './tape.js';

/** `a + b` of one shape. */
export function add(tape: Tape, a: Value, b: Value): Value {
  const output = { name: tape.emit('Add', [a.name, b.name]), shape: a.shape };
  return tape.record({ inputs: [a, b], output, backward: (gradient) => [() => gradient, () => gradient] });
}

/** `a - b` of one shape. */
export function subtract(tape: Tape, a: Value, b: Value): Value {
  const output = { name: tape.emit('Sub', [a.name, b.name]), shape: a.shape };
  const backward = (gradient: string) => [() => gradient, () => tape.emit('Neg', [gradient])];
  return tape.record({ inputs: [a, b], output, backward });
}

/** `a * b` of one shape, number by number. */
export function multiply(tape: Tape, a: Value, b: Value): Value {
  const output = { name: tape.emit('Mul', [a.name, b.name]), shape: a.shape };
  const backward = (gradient: string) => [
    () => tape.emit('Mul', [gradient, b.name]),
    () => tape.emit('Mul', [gradient, a.name]),
  ];
  return tape.record({ inputs: [a, b], output, backward });
}

/** `factor * a`. */
export function scale(tape: Tape, a: Value, factor: number): Value {
  const constant = tape.floats([factor]);
  const output = { name: tape.emit('Mul', [a.name, constant]), shape: a.shape };
  return tape.record({
    inputs: [a],
    output,
    backward: (gradient) => [() => tape.emit('Mul', [gradient, constant])],
  });
}

/**
 * 1 where a number is above `-1 / alpha`-ish of zero, else 0: HardSigmoid is max(0, min(1, alpha x + beta)), and one
 * pass over float32 where Greater and Cast are two, Where a slow one, and Sign not parallel.
 */
export function stepMask(tape: Tape, x: string, beta: 0 | 1): string {
  return tape.emit('HardSigmoid', [x], { attributes: { alpha: { float: 3e38 }, beta: { float: beta } } });
}

/** `max(a, 0)`; its gradient at 0 is 0, as in PyTorch. */
export function relu(tape: Tape, a: Value): Value {
  const output = { name: tape.emit('Relu', [a.name]), shape: a.shape };
  const backward = (gradient: string) => [() => tape.emit('Mul', [gradient, stepMask(tape, output.name, 0)])];
  return tape.record({ inputs: [a], output, backward });
}

/** The sum of all numbers, a scalar. */
export function total(tape: Tape, a: Value): Value {
  const output = { name: tape.emit('ReduceSum', [a.name], { attributes: { keepdims: 0 } }), shape: [] };
  const backward = (gradient: string) => [() => tape.emit('Expand', [gradient, tape.ints(a.shape)])];
  return tape.record({ inputs: [a], output, backward });
}
