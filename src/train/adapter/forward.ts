import { add, relu } from '../graph/elementwise.js';
import { dense } from '../graph/dense.js';
import type { Tape, Value } from '../graph/tape.js';
import type { AdapterShape } from './layout.js';

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
