import type { Embeddings } from '../domain/embeddings.js';
import type { EncoderManifest } from './manifest.js';

/** The port both runtimes stand behind. */
export interface Encoder {
  readonly manifest: EncoderManifest;
  /**
   * Embeds a batch. `pixels` is uint8 RGB `[count, height, width, 3]`, the result `[count, dimension]`.
   * @throws NearvoteError `encoder_invalid` when the model returns another shape or vectors not of unit length
   */
  embed(pixels: Uint8Array, count: number): Promise<Embeddings>;
  close(): Promise<void>;
}
