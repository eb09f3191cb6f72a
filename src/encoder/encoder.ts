import type { Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import type { EncoderManifest } from './manifest.js';

/** What computes the embeddings: ONNX Runtime, or TensorFlow.js on one of its backends. */
export const runtimeNames = ['onnxruntime', 'tfjs-native', 'tfjs-wasm'] as const;
export type RuntimeName = (typeof runtimeNames)[number];

/** The port both runtimes stand behind. */
export interface Encoder {
  readonly manifest: EncoderManifest;
  readonly runtime: RuntimeName;
  /** Why it is slower than this machine allows, and what to do about it; absent where it is not. */
  readonly slower?: string | undefined;
  /**
   * Embeds a batch. `pixels` is uint8 RGB `[count, height, width, 3]`, the result `[count, dimension]`.
   * @throws NearvoteError `encoder_invalid` when the model returns another shape or vectors not of unit length
   */
  embed(pixels: Uint8Array, count: number): Promise<Embeddings>;
  close(): Promise<void>;
}

interface PixelBatch {
  /** RGB `[count, height, width, 3]`. */
  readonly pixels: Uint8Array;
  readonly count: number;
  readonly manifest: EncoderManifest;
}

/** @throws NearvoteError `internal`: whoever calls an encoder decodes to its size, so this is a fault of ours */
export function checkPixels({ pixels, count, manifest }: PixelBatch): void {
  const { width, height } = manifest.input;
  if (count >= 1 && pixels.length === count * height * width * 3) return;
  throw new NearvoteError(
    'internal',
    `Expected ${count} images of ${width} x ${height} RGB pixels, at least one, but received ${pixels.length} bytes`,
  );
}

export function closedError({ name }: EncoderManifest): NearvoteError {
  return new NearvoteError('shutting_down', `Expected encoder ${name} to be open but it has been closed`);
}
