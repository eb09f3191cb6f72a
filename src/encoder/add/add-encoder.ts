import { basename, dirname } from 'node:path';
import { z } from 'zod';
import { NearvoteError } from '../../domain/errors.js';
import { decodeModel } from '../../onnx/model.js';
import { type Geometry, outputSize } from '../../image/geometry.js';
import {
  type EncoderManifest,
  encoderManifestSchema,
  type EncoderSource,
  readEncoderFile,
  sha256Of,
} from '../manifest.js';
import { inlineExternalData } from './external-data.js';
import { proofOfModel } from '../proof-of-model.js';
import { proveEncoder } from './prove.js';
import { checkPlace, publishFolder } from './publish.js';
import { wrapModel } from './wrap.js';
import type { WrapOptions } from './wrap.js';

export interface AddEncoderOptions extends Omit<WrapOptions, 'width' | 'height'> {
  /** The .onnx file. */
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

/**
 * Wraps an ONNX encoder made elsewhere into the contract that is served, proves it on a run, and writes its folder:
 * all of it, or nothing.
 * @throws NearvoteError `encoder_missing`, `encoder_invalid`, `encoder_unsupported`, `output_exists`, `output_unwritable`, or `usage` for
 * options that do not fit the model
 */
export async function addEncoder(options: AddEncoderOptions): Promise<EncoderManifest> {
  const { path, dir, force } = options;
  await checkPlace(dir, force);
  const model = decodeModel(await readEncoderFile(dirname(path), basename(path)));
  await inlineExternalData(model, path);
  const wrapped = await wrapModel(model, { ...options, ...outputSize(options.geometry) });
  const bare = manifestOf(options, { dimension: wrapped.dimension, sha256: sha256Of([wrapped.bytes]) });
  await proveEncoder(wrapped, bare);
  const manifest = { ...bare, proof: await proofOfModel(bare, wrapped.bytes) };
  const files = {
    'encoder.onnx': wrapped.bytes,
    'encoder.json': `${JSON.stringify(manifest, undefined, 2)}\n`,
  };
  return { ...manifest, file: await publishFolder({ dir, files, force }) };
}

interface Wrapped {
  readonly dimension: number;
  readonly sha256: string;
}

function manifestOf(options: AddEncoderOptions, { dimension, sha256 }: Wrapped): EncoderManifest {
  const { name, version, geometry, trainedOn, licence, source } = options;
  const parsed = encoderManifestSchema.safeParse({
    name,
    version,
    format: 'onnx',
    file: 'encoder.onnx',
    sha256,
    input: { name: 'pixels', ...outputSize(geometry), geometry },
    output: { name: 'embeddings', dimension },
    trainedOn,
    metrics: {},
    licence,
    ...(source && { source }),
  });
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => `${z.core.toDotPath(issue.path)}: ${issue.message}`);
  throw new NearvoteError('usage', `Expected other options for the manifest: ${faults.join('; ')}`);
}
