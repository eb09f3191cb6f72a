import type { TensorSpec } from './architectures/parameters.js';
import type { BatchNorm } from './graph/batch-norm.js';
import type { Tape } from './graph/tape.js';

/** PyTorch's: a new batch counts for a tenth of the running statistics. */
const statisticsMomentum = 0.1;

/** The length of a gradient, and the gradient no longer than `most`, as PyTorch's clip_grad_norm_. */
export function clipped(
  tape: Tape,
  gradient: string,
  most: number | undefined,
): { readonly norm: string; readonly gradient: string } {
  const square = tape.emit('ReduceSum', [tape.emit('Mul', [gradient, gradient])], {
    attributes: { keepdims: 0 },
  });
  const norm = tape.emit('Sqrt', [square]);
  if (most === undefined) return { norm, gradient };
  const share = tape.emit('Div', [tape.floats([most]), tape.emit('Add', [norm, tape.floats([1e-6])])]);
  const factor = tape.emit('Min', [share, tape.floats([1])]);
  return { norm, gradient: tape.emit('Mul', [gradient, factor]) };
}

export interface AverageNodes {
  readonly average: string;
  readonly value: string;
  readonly decay: string;
}

/** `decay * average + (1 - decay) * value` */
export function averaged(tape: Tape, { average, value, decay }: AverageNodes): string {
  const share = tape.emit('Sub', [tape.floats([1]), decay]);
  const change = tape.emit('Mul', [tape.emit('Sub', [value, average]), share]);
  return tape.emit('Add', [average, change]);
}

/** The vector `statistics` moved towards those of this batch; as in PyTorch, the variance as of a sample (n - 1). */
export function movedStatistics(
  tape: Tape,
  specs: readonly TensorSpec[],
  batches: ReadonlyMap<string, BatchNorm>,
): string {
  const parts = specs.map(({ name, shape }) => {
    const dot = name.lastIndexOf('.');
    const batch = batches.get(name.slice(0, dot));
    if (batch === undefined) throw new RangeError(`Expected the statistics of ${name} but nothing made them`);
    const [channels = 1] = shape;
    const [n = 1, , height = 1, width = 1] = batch.output.shape;
    const count = n * height * width;
    const isMean = name.endsWith('.mean');
    const whole = isMean ? batch.mean : batch.variance;
    const own = tape.emit('Slice', [whole, tape.ints([0]), tape.ints([channels]), tape.ints([0])]);
    return isMean || count < 2 ? own : tape.emit('Mul', [own, tape.floats([count / (count - 1)])]);
  });
  const batch = tape.emit('Concat', parts, { attributes: { axis: 0 } });
  const decay = tape.floats([1 - statisticsMomentum]);
  return averaged(tape, { average: 'statistics', value: batch, decay });
}
