import { asEmbeddings, type Embeddings } from '../../domain/embeddings.js';
import { NearvoteError } from '../../domain/errors.js';
import { encodeModel, model, tensorInfo } from '../../onnx/model.js';
import { openSession, Tensor } from '../../onnx/session.js';
import { l2Normalise } from '../graph/rows.js';
import { createTape } from '../graph/tape.js';
import { adapted } from './forward.js';
import { constantWeights, type FrozenAdapter } from './weights.js';

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
