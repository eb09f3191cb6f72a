import './no-telemetry.js';
import { InferenceSession } from 'onnxruntime-node';

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
}

/**
 * Opens a model on ONNX Runtime: the one place that does. Nothing is printed on stderr, since what is wrong is thrown.
 * @throws Error whose message is ONNX Runtime's own reason
 */
export function openSession(options: SessionOptions): Promise<Session> {
  const { model, threads, spinning, memoryPattern = true } = options;
  const settings: InferenceSession.SessionOptions = {
    logSeverityLevel: 4,
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    enableMemPattern: memoryPattern,
    ...(spinning === undefined ? {} : { extra: { session: spinningSettings(spinning) } }),
  };
  return typeof model === 'string'
    ? InferenceSession.create(model, settings)
    : InferenceSession.create(model, settings);
}

/** https://github.com/microsoft/onnxruntime/blob/main/include/onnxruntime/core/session/onnxruntime_session_options_config_keys.h */
function spinningSettings(spinning: boolean): object {
  return spinning
    ? { intra_op: { allow_spinning: '1' }, force_spinning_stop: '1' }
    : { intra_op: { allow_spinning: '0' } };
}
