import type { BatchNorm } from './graph/batch-norm.js';
import type { Tape } from './graph/tape.js';
import type { TensorSpec } from './parameters.js';

/** As a config has it; biases and norms are left out of weight decay. */
export type OptimizerOptions =
  | {
      readonly name: 'sgd';
      readonly momentum: number;
      readonly nesterov: boolean;
      readonly weightDecay: number;
    }
  | {
      readonly name: 'adamw';
      readonly beta1: number;
      readonly beta2: number;
      readonly epsilon: number;
      readonly weightDecay: number;
    };

/** Names of the optimizer's flat vectors, each as long as the parameters. */
export function optimizerSlots({ name }: OptimizerOptions): readonly string[] {
  return name === 'sgd' ? ['momentum'] : ['firstMoment', 'secondMoment'];
}

export interface UpdateNodes {
  readonly optimizer: OptimizerOptions;
  readonly parameters: string;
  readonly gradient: string;
  /** By the names of `optimizerSlots`. */
  readonly slots: Readonly<Record<string, string>>;
  readonly learningRate: string;
  /** `1 - beta1^t` and `1 - beta2^t` */
  readonly corrections: readonly [string, string];
  readonly length: number;
  /** The first so many parameters decay. */
  readonly decayed: number;
}

export interface Updated {
  readonly parameters: string;
  readonly slots: Readonly<Record<string, string>>;
}

/** One update as PyTorch's SGD (with momentum, of Nesterov's kind or not) and AdamW define it, on flat vectors. */
export function updateNodes(tape: Tape, nodes: UpdateNodes): Updated {
  return nodes.optimizer.name === 'sgd'
    ? sgd(tape, { ...nodes, optimizer: nodes.optimizer })
    : adamW(tape, { ...nodes, optimizer: nodes.optimizer });
}

type Of<Name> = UpdateNodes & { readonly optimizer: Extract<OptimizerOptions, { readonly name: Name }> };

function sgd(tape: Tape, nodes: Of<'sgd'>): Updated {
  const { momentum, nesterov } = nodes.optimizer;
  const gradient = withDecay(tape, nodes, nodes.gradient);
  const kept = tape.emit('Mul', [nodes.slots['momentum'] ?? '', tape.floats([momentum])]);
  const velocity = tape.emit('Add', [kept, gradient]);
  const direction = nesterov
    ? tape.emit('Add', [gradient, tape.emit('Mul', [velocity, tape.floats([momentum])])])
    : velocity;
  const change = tape.emit('Mul', [direction, nodes.learningRate]);
  return { parameters: tape.emit('Sub', [nodes.parameters, change]), slots: { momentum: velocity } };
}

/** Loshchilov & Hutter 2017, arXiv:1711.05101. */
function adamW(tape: Tape, nodes: Of<'adamw'>): Updated {
  const { beta1, beta2, epsilon } = nodes.optimizer;
  const mixed = (old: string, value: string, beta: number): string =>
    tape.emit('Add', [
      tape.emit('Mul', [old, tape.floats([beta])]),
      tape.emit('Mul', [value, tape.floats([1 - beta])]),
    ]);
  const square = tape.emit('Mul', [nodes.gradient, nodes.gradient]);
  const firstMoment = mixed(nodes.slots['firstMoment'] ?? '', nodes.gradient, beta1);
  const secondMoment = mixed(nodes.slots['secondMoment'] ?? '', square, beta2);
  const mean = tape.emit('Div', [firstMoment, nodes.corrections[0]]);
  const deviation = tape.emit('Sqrt', [tape.emit('Div', [secondMoment, nodes.corrections[1]])]);
  const direction = tape.emit('Div', [mean, tape.emit('Add', [deviation, tape.floats([epsilon])])]);
  const decay = withDecay(tape, nodes, direction);
  const change = tape.emit('Mul', [decay, nodes.learningRate]);
  return {
    parameters: tape.emit('Sub', [nodes.parameters, change]),
    slots: { firstMoment, secondMoment },
  };
}

/** `value + weightDecay * parameters`, where parameters decay. */
function withDecay(
  tape: Tape,
  { optimizer, parameters, length, decayed }: UpdateNodes,
  value: string,
): string {
  if (optimizer.weightDecay === 0) return value;
  const sizes = tape.ints([decayed, length - decayed]);
  const [decaying = ''] = tape.emitMany('Split', [parameters, sizes], 2);
  const [theirs = '', others = ''] = tape.emitMany('Split', [value, sizes], 2);
  const decay = tape.emit('Mul', [decaying, tape.floats([optimizer.weightDecay])]);
  return tape.emit('Concat', [tape.emit('Add', [theirs, decay]), others], { attributes: { axis: 0 } });
}

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
