import type { Tape, Value } from './tape.js';

/** Matrix product `a b` of `[m, k]` and `[k, n]`. */
export function matmul(tape: Tape, a: Value, b: Value): Value {
  const output = { name: tape.emit('MatMul', [a.name, b.name]), shape: [rows(a), columns(b)] };
  const backward = (gradient: string) => [
    () => gemm(tape, [gradient, b.name], { transB: 1 }),
    () => gemm(tape, [a.name, gradient], { transA: 1 }),
  ];
  return tape.record({ inputs: [a, b], output, backward });
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
const columns = ({ shape }: Value): number => shape[1] ?? 1;
