import './no-telemetry.js';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, listSupportedBackends } from 'onnxruntime-node';
import { messageOf, NearvoteError } from '../domain/errors.js';

export { Tensor } from 'onnxruntime-node';
export type Session = InferenceSession;

export interface SessionOptions {
  /** The bytes of a model, or the path of its file. */
  readonly model: Uint8Array | string;
  /** Of one run. */
  readonly threads: number;
  /**
   * Whether threads spin between the parts of a run, which is quicker and takes the cores from everybody else; they stop
   * at its end. ONNX Runtime's own way unless told: they spin, and go on for a while after a run.
   */
  readonly spinning?: boolean | undefined;
  /** One plan for all buffers of a run, which is ONNX Runtime's way unless told. */
  readonly memoryPattern?: boolean | undefined;
  /** Execution providers of ONNX Runtime, the preferred one first; the processor's unless told. */
  readonly providers?: readonly string[] | undefined;
  /** How far ONNX Runtime rewrites the graph before it runs; as far as it can unless told. */
  readonly optimisation?: Optimisation | undefined;
}

/** `basic` keeps to standard operators: constants are folded, batch norms and padding go into convolutions. */
export type Optimisation = 'disabled' | 'basic' | 'extended' | 'all';

const processor = ['cpu'];

/**
 * Opens a model on ONNX Runtime: the one place that does. Nothing is printed on stderr, since what is wrong is thrown.
 * @throws Error whose message is ONNX Runtime's own reason; NearvoteError `usage` for a provider that it has not,
 * `dependency_missing` for one that does not start
 */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { model, providers = processor } = options;
  const settings = settingsOf(options);
  if (providers.some((name) => name !== 'cpu')) await checkProviders(providers);
  // Its overloads tell a path from bytes.
  return typeof model === 'string'
    ? InferenceSession.create(model, settings)
    : InferenceSession.create(model, settings);
}

function settingsOf(options: Omit<SessionOptions, 'model'>): InferenceSession.SessionOptions {
  const { threads, spinning, memoryPattern = true, providers = processor, optimisation = 'all' } = options;
  return {
    graphOptimizationLevel: optimisation,
    executionProviders: providers,
    logSeverityLevel: 4,
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    enableMemPattern: memoryPattern,
    ...(spinning === undefined ? {} : { extra: { session: spinningSettings(spinning) } }),
  };
}

/**
 * The model that ONNX Runtime makes of a model before it runs it.
 * @throws Error whose message is ONNX Runtime's own reason
 */
export async function optimisedModel(bytes: Uint8Array, optimisation: Optimisation): Promise<Uint8Array> {
  const dir = await mkdtemp(join(tmpdir(), 'nearvote-model-'));
  try {
    const path = join(dir, 'model.onnx');
    const settings = settingsOf({ threads: 1, optimisation });
    const session = await InferenceSession.create(bytes, { ...settings, optimizedModelFilePath: path });
    await session.release();
    return await readFile(path);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

/** https://github.com/microsoft/onnxruntime/blob/main/include/onnxruntime/core/session/onnxruntime_session_options_config_keys.h */
function spinningSettings(spinning: boolean): object {
  return spinning
    ? { intra_op: { allow_spinning: '1' }, force_spinning_stop: '1' }
    : { intra_op: { allow_spinning: '0' } };
}

/** ONNX Runtime leaves out a provider that it does not know with no more than a line on stderr. */
async function checkProviders(providers: readonly string[]): Promise<void> {
  const known = listSupportedBackends().map(({ name }) => name);
  for (const name of providers) {
    if (known.includes(name)) continue;
    throw new NearvoteError(
      'usage',
      `Expected execution providers that ONNX Runtime has here (${known.join(', ')}) but received ${name}`,
    );
  }
  try {
    const session = await InferenceSession.create(await identity(), settingsOf({ threads: 1, providers }));
    await session.release();
  } catch (cause) {
    throw new NearvoteError(
      'dependency_missing',
      `Expected the execution providers ${providers.join(', ')} to start but ONNX Runtime said: ${messageOf(cause).trim()}`,
      { cause },
    );
  }
}

/** The smallest model: what it fails of is not the model. */
async function identity(): Promise<Uint8Array> {
  // Loaded when needed: writing models takes longer to load than everything else of a worker.
  const { encodeModel, model, node, tensorInfo } = await import('./model.js');
  return encodeModel(
    model({
      name: 'identity',
      inputs: [tensorInfo({ name: 'x', elementType: 'float32', dims: [1] })],
      outputs: [tensorInfo({ name: 'y', elementType: 'float32', dims: [1] })],
      nodes: [node('Identity', { inputs: ['x'], outputs: ['y'] })],
    }),
  );
}
