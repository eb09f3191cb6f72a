import { NearvoteError } from '../domain/errors.js';
import type { EncoderManifest } from './manifest.js';

export interface PixelBatch {
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
