import { createDecoder, type Decoder } from '../../src/image/decode.js';
import { resizeTo, type Fit, type Kernel, type Size } from '../../src/image/geometry.js';

/** A decoder that resizes to a width and height; further options are the decoder's own. */
export function decoderTo({
  width,
  height,
  fit,
  kernel,
  ...more
}: Size & {
  readonly fit: Fit;
  readonly kernel: Kernel;
  readonly maxPixels?: number;
  readonly maxDecodeBytes?: number;
}): Decoder {
  return createDecoder({ geometry: resizeTo({ width, height, fit, kernel }), ...more });
}
