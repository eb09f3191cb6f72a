import type { Tape, Value } from './tape.js';

/** The same numbers in another shape. */
export function reshape(tape: Tape, a: Value, shape: readonly number[]): Value {
  const output = { name: reshaped(tape, a.name, shape), shape };
  return tape.record({
    inputs: [a],
    output,
    backward: (gradient) => [() => reshaped(tape, gradient, a.shape)],
  });
}

export function reshaped(tape: Tape, name: string, shape: readonly number[]): string {
  return tape.emit('Reshape', [name, tape.ints(shape)]);
}

/** Zeros after the numbers of each axis, up to `shape`. */
export function padTo(tape: Tape, a: Value, shape: readonly number[]): Value {
  if (a.shape.every((dim, axis) => dim === shape[axis])) return a;
  const after = a.shape.map((dim, axis) => (shape[axis] ?? dim) - dim);
  const pads = tape.ints([...a.shape.map(() => 0), ...after]);
  const output = { name: tape.emit('Pad', [a.name, pads]), shape };
  const backward = (gradient: string) => [() => start(tape, gradient, a.shape)];
  return tape.record({ inputs: [a], output, backward });
}

/** The first numbers of each axis, as many as `shape` says. */
export function crop(tape: Tape, a: Value, shape: readonly number[]): Value {
  if (a.shape.every((dim, axis) => dim === shape[axis])) return a;
  const after = a.shape.map((dim, axis) => dim - (shape[axis] ?? dim));
  const output = { name: start(tape, a.name, shape), shape };
  const backward = (gradient: string) => [
    () => tape.emit('Pad', [gradient, tape.ints([...a.shape.map(() => 0), ...after])]),
  ];
  return tape.record({ inputs: [a], output, backward });
}

function start(tape: Tape, name: string, shape: readonly number[]): string {
  const axes = shape.map((_, axis) => axis);
  return tape.emit('Slice', [name, tape.ints(axes.map(() => 0)), tape.ints(shape), tape.ints(axes)]);
}
