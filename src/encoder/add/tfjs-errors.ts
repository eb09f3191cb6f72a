import { messageOf, NearvoteError } from '../../domain/errors.js';

/** What TensorFlow.js says of a model that it cannot run. */
export function inOurWords(cause: unknown): NearvoteError {
  const said = messageOf(cause);
  const op = /Unknown op '([^']+)'/.exec(said)?.[1];
  if (op !== undefined) {
    return unsupported(`Expected operations that TensorFlow.js has but the model uses ${op}`, cause);
  }
  const [, kernel, backend] = /Kernel '([^']+)' not registered for backend '([^']+)'/.exec(said) ?? [];
  if (kernel !== undefined) {
    return unsupported(
      `Expected operations that the ${backend} backend of TensorFlow.js has but the model uses ${kernel}`,
      cause,
    );
  }
  const layer = /Unknown layer: ([^.\s]+)/.exec(said)?.[1];
  if (layer !== undefined) {
    return unsupported(
      `Expected layers that TensorFlow.js has but the model uses its own, ${layer}: convert it to a graph model (tensorflowjs_converter --output_format=tfjs_graph_model)`,
      cause,
    );
  }
  const first = said.split('\n')[0] ?? '';
  return new NearvoteError(
    'encoder_invalid',
    `Expected a model that TensorFlow.js can run but it said: ${first}`,
    { cause },
  );
}

export function usage(message: string): NearvoteError {
  return new NearvoteError('usage', message);
}

export function unsupported(message: string, cause?: unknown): NearvoteError {
  return new NearvoteError('encoder_unsupported', message, { cause });
}
