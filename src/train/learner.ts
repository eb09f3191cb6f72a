import { NearvoteError } from '../domain/errors.js';
import { openSession, Tensor } from '../onnx/session.js';
import { sizeOf } from './graph/tape.js';
import type { OptimizerOptions } from './optimizer.js';
import { stepScalars } from './training-graph.js';

/** What a step is given: two views of each image of a batch. */
export interface StepInput {
  /** uint8 RGB `[views, height, width, 3]` */
  readonly pixels: Uint8Array;
  /** Shares of the classes, `[views, classes]` */
  readonly labels: Float32Array;
  readonly learningRate: number;
}

export interface StepResult {
  /** Before the update; NaN and infinity come out as they are. */
  readonly loss: number;
  readonly gradientNorm: number;
}

/** Everything that the next step depends on: flat vectors by their names, and the steps done. */
export interface TrainingState {
  readonly steps: number;
  readonly vectors: Readonly<Record<string, Float32Array>>;
}

/**
 * What the loop drives; `step.ts` is the one that trains an encoder. A batch is two views of each of its images, pixels
 * unless told.
 */
export interface Learner<Batch = Pick<StepInput, 'pixels' | 'labels'>> {
  step(input: Batch & Pick<StepInput, 'learningRate'>): Promise<StepResult>;
  /** A copy, for a checkpoint. */
  state(): TrainingState;
  /** Goes on from a copy of `state`, bit for bit. */
  load(state: TrainingState): void;
}

export interface StepSessionOptions {
  /** What `stepModel` made. */
  readonly model: Uint8Array;
  /** Lengths of the state vectors by their names. */
  readonly vectors: ReadonlyMap<string, number>;
  /** What they are before the first step; zeros where nothing is said. An average starts as what it is of. */
  readonly first: Readonly<Record<string, Float32Array>>;
  readonly optimizer: OptimizerOptions;
  readonly emaDecay?: number | undefined;
  readonly threads: number;
}

/** A training step's graph and its state on ONNX Runtime, whatever is trained. */
export interface StepSession {
  step(inputs: Readonly<Record<string, Tensor>>, learningRate: number): Promise<StepResult>;
  /** A copy, for a checkpoint. */
  state(): TrainingState;
  /** Goes on from a copy of `state`, bit for bit. @throws NearvoteError `usage` when it is another training's */
  load(state: TrainingState): void;
  release(): Promise<void>;
}

export async function openStepSession(options: StepSessionOptions): Promise<StepSession> {
  const { vectors, first } = options;
  const session = await openSession({
    model: options.model,
    threads: options.threads,
    // One plan for all buffers took 1.8 times the memory that the arena takes step by step, and no less time.
    memoryPattern: false,
  });
  // Two sets of buffers: a step reads one and writes the other, since an update may run before the last reader.
  const buffers = (): Map<string, Tensor> =>
    new Map([...vectors].map(([name, length]) => [name, zeros([length])]));
  let [current, following] = [buffers(), buffers()];
  const results = new Map(['loss', 'gradientNorm'].map((name) => [name, zeros([])] as const));
  let steps = 0;
  for (const [name, tensor] of current) {
    const start = first[name.replace('ema.', '')];
    if (start !== undefined) dataOf(tensor).set(start);
  }

  return {
    step: async (inputs, learningRate) => {
      const scalars = scalarsOf(steps + 1, { ...options, learningRate });
      const feeds: Record<string, Tensor> = { ...inputs, ...Object.fromEntries(current) };
      for (const name of stepScalars) feeds[name] = new Tensor('float32', Float32Array.of(scalars[name]), []);
      const fetches = new Map(results);
      for (const [name, tensor] of following) fetches.set(`next.${name}`, tensor);
      await session.run(feeds, Object.fromEntries(fetches));
      [current, following] = [following, current];
      steps++;
      const [loss = NaN, gradientNorm = NaN] = [...results.values()].map((tensor) => dataOf(tensor)[0]);
      return { loss, gradientNorm };
    },
    state: () => ({
      steps,
      vectors: Object.fromEntries([...current].map(([name, tensor]) => [name, dataOf(tensor).slice()])),
    }),
    load: (state) => {
      const names = [...vectors.keys()];
      if (Object.keys(state.vectors).toSorted().join() !== names.toSorted().join()) {
        const received = Object.keys(state.vectors).join(', ');
        throw new NearvoteError('usage', `Expected a state of ${names.join(', ')} but received ${received}`);
      }
      for (const [name, length] of vectors) expectLength(name, state.vectors[name]?.length ?? 0, length);
      for (const [name, tensor] of current) dataOf(tensor).set(state.vectors[name] ?? []);
      steps = state.steps;
    },
    release: () => session.release(),
  };
}

type Scalars = Readonly<Record<(typeof stepScalars)[number], number>>;

/** `t` is 1 in the first step. */
function scalarsOf(
  t: number,
  {
    emaDecay = 0,
    optimizer,
    learningRate,
  }: Pick<StepSessionOptions, 'emaDecay' | 'optimizer'> & { learningRate: number },
): Scalars {
  const betas = optimizer.name === 'adamw' ? optimizer : { beta1: 0, beta2: 0 };
  return {
    learningRate,
    // An average that starts as the first weights forgets them sooner this way.
    emaDecay: Math.min(emaDecay, (1 + t) / (10 + t)),
    correction1: 1 - betas.beta1 ** t,
    correction2: 1 - betas.beta2 ** t,
  };
}

function zeros(dims: readonly number[]): Tensor {
  return new Tensor('float32', new Float32Array(sizeOf(dims)), dims);
}

function dataOf(tensor: Tensor): Float32Array {
  if (tensor.data instanceof Float32Array) return tensor.data;
  throw new NearvoteError('internal', `Expected float32 but received ${tensor.type}`);
}

/** @throws NearvoteError `usage` */
export function expectLength(what: string, received: number, expected: number): void {
  if (received === expected) return;
  throw new NearvoteError('usage', `Expected ${expected} numbers of ${what} but received ${received}`);
}
