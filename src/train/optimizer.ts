import type { Tape } from './graph/tape.js';

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
