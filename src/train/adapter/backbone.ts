import { NearvoteError } from '../../domain/errors.js';
import type { Encoder } from '../../encoder/encoder.js';
import { readEncoderManifest, readTrainedImages } from '../../encoder/load.js';
import { type EncoderManifest, readEncoderFile, sha256Of } from '../../encoder/manifest.js';
import { openOnnxEncoder } from '../../encoder/onnx-runtime.js';
import { describeGeometry, type Fit, type Kernel } from '../../image/geometry.js';

/** A frozen encoder, and its model for the adapter to be written behind. */
export interface Backbone {
  readonly manifest: EncoderManifest;
  /** Of a side of the square images that it takes. */
  readonly size: number;
  /** How images are resized to it. */
  readonly fit: Fit;
  readonly kernel: Kernel;
  readonly model: Uint8Array;
  /** Of the images that it was trained on, packed; absent where it keeps none. */
  readonly fingerprints: Uint8Array | undefined;
  readonly encoder: Encoder;
}

/**
 * Opens an encoder's folder as a backbone.
 * @throws NearvoteError `encoder_missing`, `encoder_invalid`, or `encoder_unsupported` where it is not ONNX, its images
 * are not square, or they are cropped after they are resized
 */
export async function openBackbone(
  dir: string,
  { threads }: { readonly threads: number },
): Promise<Backbone> {
  const manifest = await readEncoderManifest(dir);
  const { name, format, file, input } = manifest;
  if (format !== 'onnx') {
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected an ONNX encoder as backbone but ${name} is ${format}, which an adapter cannot be written behind: ` +
        'convert it to ONNX (python -m tf2onnx.convert --tfjs) and add it with `nearvote encoder add`',
    );
  }
  if (input.width !== input.height) {
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected a backbone of square images, as views are, but ${name} takes ${input.width} x ${input.height}`,
    );
  }
  const { crop, fit, kernel } = input.geometry;
  if (crop !== undefined || fit === undefined) {
    throw new NearvoteError(
      'encoder_unsupported',
      `Expected a backbone whose images are resized and no more but those of ${name} have ${describeGeometry(input.geometry)}`,
    );
  }
  const model = await readEncoderFile(dir, file);
  if (sha256Of([model]) !== manifest.sha256) {
    throw new NearvoteError(
      'encoder_invalid',
      `Expected the file of backbone ${name} to have the sha256 of its encoder.json, ${manifest.sha256}, but it has another`,
    );
  }
  const fingerprints = await readTrainedImages(dir, manifest);
  const encoder = await openOnnxEncoder({ manifest, bytes: model, threads });
  return { manifest, size: input.width, fit, kernel, model, fingerprints, encoder };
}
