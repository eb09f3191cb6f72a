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

/** The products of all pairs of rows, `a b^T` of `[m, k]` and `[n, k]`. */
export function rowProducts(tape: Tape, a: Value, b: Value): Value {
  const output = { name: gemm(tape, [a.name, b.name], { transB: 1 }), shape: [rows(a), rows(b)] };
  const backward = (gradient: string) => [
    () => gemm(tape, [gradient, b.name], {}),
    () => gemm(tape, [gradient, a.name], { transA: 1 }),
  ];
  return tape.record({ inputs: [a, b], output, backward });
}

export interface DenseWeights {
  /** `[out, in]`, as PyTorch's Linear keeps it. */
  readonly weight: Value;
  /** `[out]` */
  readonly bias: Value;
}

/** A dense layer `x W^T + bias`: `[n, in]` to `[n, out]`. */
export function dense(tape: Tape, x: Value, { weight, bias }: DenseWeights): Value {
  const name = gemm(tape, [x.name, weight.name, bias.name], { transB: 1 });
  return tape.record({
    inputs: [x, weight, bias],
    output: { name, shape: [rows(x), rows(weight)] },
    backward: (gradient) => [
      () => gemm(tape, [gradient, weight.name], {}),
      () => gemm(tape, [gradient, x.name], { transA: 1 }),
      () => tape.emit('ReduceSum', [gradient, tape.ints([0])], { attributes: { keepdims: 0 } }),
    ],
  });
}

function gemm(tape: Tape, inputs: readonly string[], attributes: Readonly<Record<string, number>>): string {
  return tape.emit('Gemm', inputs, { attributes });
}

const rows = ({ shape }: Value): number => shape[0] ?? 1;

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
