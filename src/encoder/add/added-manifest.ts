import { z } from 'zod';
import { NearvoteError } from '../../domain/errors.js';
import { type Geometry, outputSize } from '../../image/geometry.js';
import { type EncoderManifest, encoderManifestSchema, type EncoderSource } from '../manifest.js';
import type { WrapOptions } from './wrap.js';

export interface AddEncoderOptions extends Omit<WrapOptions, 'width' | 'height'> {
  /** The .onnx file, or the model.json of a TensorFlow.js model. */
  readonly path: string;
  /** The folder to write. */
  readonly dir: string;
  readonly force: boolean;
  readonly name: string;
  readonly version: string;
  /** How an image of any size becomes the pixels that the model takes. */
  readonly geometry: Geometry;
  readonly licence: string;
  readonly trainedOn: readonly string[];
  /** Where it was taken from, where that is known. */
  readonly source?: EncoderSource | undefined;
}

interface Wrapped {
  readonly format: EncoderManifest['format'];
  readonly file: string;
  /** Names of the model's input and output. */
  readonly input: string;
  readonly output: string;
  readonly dimension: number;
  readonly sha256: string;
}

/**
 * The manifest of an encoder that was wrapped.
 * @throws NearvoteError `usage` for options that no manifest takes
 */
export function manifestOf(options: AddEncoderOptions, wrapped: Wrapped): EncoderManifest {
  const { format, file, input, output, dimension, sha256 } = wrapped;
  const { name, version, geometry, trainedOn, licence, source } = options;
  const parsed = encoderManifestSchema.safeParse({
    name,
    version,
    format,
    file,
    sha256,
    input: { name: input, ...outputSize(geometry), geometry },
    output: { name: output, dimension },
    trainedOn,
    metrics: {},
    licence,
    ...(source && { source }),
  });
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${z.core.toDotPath(issue.path)}: ${issue.message}`);
  throw new NearvoteError('usage', `Expected other options for the manifest: ${faults.join('; ')}`);
}
