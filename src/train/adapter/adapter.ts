import { asEmbeddings, type Embeddings } from '../../domain/embeddings.js';
import { NearvoteError } from '../../domain/errors.js';
import { encodeModel, model, tensorInfo } from '../../onnx/model.js';
import { openSession, Tensor } from '../../onnx/session.js';
import { add, dense, l2Normalise, relu } from '../graph/operations.js';
import { createTape, type Tape, type Value } from '../graph/tape.js';
import type { TrainingState } from '../learner.js';
import { initialParameters, lengthOf, sizeOfSpec, type ParameterLayout } from '../parameters.js';

/** What is trained on the embeddings of a frozen backbone. */
export interface AdapterShape {
  /** `mlp` adds one hidden layer beside the linear map. */
  readonly kind: 'linear' | 'mlp';
  /** Of the backbone's embeddings. */
  readonly features: number;
  /** Of the adapter's embeddings, at most `features`. */
  readonly dimension: number;
  /** Of the hidden layer. */
  readonly hidden: number;
}

type ParameterSpecs = ParameterLayout['parameters'];

/** Where the adapter's weights lie in the flat vectors of the training state. */
export function adapterLayout({ kind, features, dimension, hidden }: AdapterShape): ParameterLayout {
  const zero = { fill: 0 };
  const decayed: ParameterSpecs = [
    { name: 'linear.weight', shape: [dimension, features], start: zero },
    ...(kind === 'mlp'
      ? [
          { name: 'hidden.weight', shape: [hidden, features], start: { normal: features } },
          { name: 'out.weight', shape: [dimension, hidden], start: zero },
        ]
      : []),
  ];
  const others: ParameterSpecs = [
    { name: 'linear.bias', shape: [dimension], start: zero },
    ...(kind === 'mlp'
      ? [
          { name: 'hidden.bias', shape: [hidden], start: zero },
          { name: 'out.bias', shape: [dimension], start: zero },
        ]
      : []),
  ];
  return { parameters: [...decayed, ...others], decayed: lengthOf(decayed), statistics: [] };
}

/**
 * The first weights: the adapter gives the backbone's embeddings back, or, where it has fewer dimensions, a projection
 * of them on as many random directions at right angles. Training starts from neighbours that are as good as the backbone's.
 */
export function initialAdapter(shape: AdapterShape, seed: number): Float32Array {
  const values = initialParameters(adapterLayout(shape), seed);
  const { features, dimension } = shape;
  const rows = dimension === features ? identity(features) : orthonormalRows(shape, seed);
  values.set(rows, 0);
  return values;
}

function identity(size: number): Float32Array {
  return Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
}

/** Gram and Schmidt on normal numbers, `[dimension, features]`. */
function orthonormalRows({ features, dimension }: AdapterShape, seed: number): Float32Array {
  const spec = { name: 'rows', shape: [dimension, features], start: { normal: 1 } };
  const rows = initialParameters({ parameters: [spec], decayed: sizeOfSpec(spec), statistics: [] }, seed);
  const row = (i: number): Float32Array => rows.subarray(i * features, (i + 1) * features);
  for (let i = 0; i < dimension; i++) {
    const own = row(i);
    for (let before = 0; before < i; before++) {
      const other = row(before);
      const along = own.reduce((sum, value, at) => sum + value * (other[at] ?? 0), 0);
      own.forEach((value, at) => (own[at] = value - along * (other[at] ?? 0)));
    }
    const length = Math.hypot(...own);
    own.forEach((value, at) => (own[at] = value / length));
  }
  return rows;
}

export interface ForwardOptions {
  readonly kind: AdapterShape['kind'];
  /** A weight by its name in the layout. */
  readonly parameter: (name: string) => Value;
  /** The mean of the backbone's embeddings of the images trained on, `[features]`. */
  readonly centre: Float32Array;
}

/**
 * What the adapter makes of the backbone's unit embeddings before it divides by the length, `[n, features]` to
 * `[n, dimension]`; written once, for the graph that trains it and the one that is served.
 */
export function adapted(tape: Tape, features: Value, { kind, parameter, centre }: ForwardOptions): Value {
  const layer = (name: string) => ({ weight: parameter(`${name}.weight`), bias: parameter(`${name}.bias`) });
  const x = spread(tape, features, centre);
  const linear = dense(tape, x, layer('linear'));
  if (kind === 'linear') return linear;
  const hidden = relu(tape, dense(tape, x, layer('hidden')));
  return add(tape, linear, dense(tape, hidden, layer('out')));
}

/**
 * What unit embeddings have in common tells no two apart and would rule every gradient; and a number of a unit vector
 * is about 1 / sqrt(features), too small for weights that start at the size of 1.
 */
function spread(tape: Tape, { name, shape }: Value, centre: Float32Array): Value {
  const centred = tape.emit('Sub', [name, tape.floats(centre, [centre.length])]);
  return { name: tape.emit('Mul', [centred, tape.floats([Math.sqrt(centre.length)])]), shape };
}

/** An adapter that is not trained any more. */
export interface FrozenAdapter {
  readonly shape: AdapterShape;
  /** Mean of the backbone's embeddings, `[features]`. */
  readonly centre: Float32Array;
  /** Flat, as the layout has them. */
  readonly weights: Float32Array;
}

/** The weights that are served: their average where one is kept. */
export function servedWeights(vectors: TrainingState['vectors']): Float32Array {
  const weights = vectors['ema.parameters'] ?? vectors.parameters;
  if (weights === undefined) throw new RangeError('Expected a state with parameters');
  return weights;
}

/** The adapter's weights as constants of a graph, by their names. */
export function constantWeights(tape: Tape, { shape, weights }: FrozenAdapter): (name: string) => Value {
  const { parameters } = adapterLayout(shape);
  const values = new Map<string, Value>();
  let offset = 0;
  for (const spec of parameters) {
    const end = offset + sizeOfSpec(spec);
    values.set(spec.name, { name: tape.floats(weights.slice(offset, end), spec.shape), shape: spec.shape });
    offset = end;
  }
  return (name) => {
    const value = values.get(name);
    if (value === undefined) throw new RangeError(`Expected a declared weight but received ${name}`);
    return value;
  };
}

/**
 * Runs an adapter by itself on the backbone's embeddings, `[n, features]` to unit rows `[n, dimension]`.
 * @throws NearvoteError `training_diverged` when they are not of unit length: division by the length hides weights that have
 * grown beyond measure from the loss
 */
export async function runAdapter(
  adapter: FrozenAdapter,
  embeddings: Embeddings,
  { threads }: { readonly threads: number },
): Promise<Embeddings> {
  const { kind, features, dimension } = adapter.shape;
  const tape = createTape();
  const parameter = constantWeights(tape, adapter);
  const input = { name: 'features', shape: [1, features] };
  const output = l2Normalise(tape, adapted(tape, input, { ...adapter, kind, parameter }));
  tape.rename(output.name, 'embeddings');
  const bytes = encodeModel(
    model({
      name: 'adapter',
      inputs: [tensorInfo({ name: 'features', elementType: 'float32', dims: ['n', features] })],
      outputs: [tensorInfo({ name: 'embeddings', elementType: 'float32', dims: ['n', dimension] })],
      nodes: tape.nodes,
      initializers: tape.constants,
    }),
  );
  const session = await openSession({ model: bytes, threads });
  try {
    const rows = new Tensor('float32', embeddings.values, [embeddings.count, features]);
    const result = (await session.run({ features: rows })).embeddings?.data;
    if (!(result instanceof Float32Array)) throw new NearvoteError('internal', 'Expected float32 embeddings');
    return checked(result, dimension);
  } finally {
    await session.release();
  }
}

function checked(rows: Float32Array, dimension: number): Embeddings {
  try {
    return asEmbeddings(rows, dimension);
  } catch (cause) {
    throw new NearvoteError(
      'training_diverged',
      'Expected an adapter that gives embeddings of unit length but its weights have grown beyond measure. Try a lower ' +
        'optimizer.learningRate, or clip: 1',
      { cause },
    );
  }
}
