import { sizeOfSpec } from '../architectures/parameters.js';
import type { TrainingState } from '../learner.js';
import type { Tape, Value } from '../graph/tape.js';
import { adapterLayout, type AdapterShape } from './layout.js';

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
