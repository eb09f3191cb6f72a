import { basename, dirname } from 'node:path';
import { decodeModel } from '../../onnx/model.js';
import { outputSize } from '../../image/geometry.js';
import { type EncoderManifest, readEncoderFile, sha256Of } from '../manifest.js';
import { type AddEncoderOptions, manifestOf } from './added-manifest.js';
import { inlineExternalData } from './external-data.js';
import { proofOfModel } from '../proof-of-model.js';
import { proveEncoder } from './prove.js';
import { checkPlace, publishFolder } from './publish.js';
import { wrapModel } from './wrap.js';

/**
 * Wraps an ONNX or TensorFlow.js encoder made elsewhere into the contract that is served, proves it on a run, and writes its folder:
 * all of it, or nothing.
 * @throws NearvoteError `encoder_missing`, `encoder_invalid`, `encoder_unsupported`, `output_exists`, `output_unwritable`, or `usage` for
 * options that do not fit the model
 */
export async function addEncoder(options: AddEncoderOptions): Promise<EncoderManifest> {
  const { path, dir, force } = options;
  await checkPlace(dir, force);
  if (path.endsWith('.json')) return (await import('./add-tfjs.js')).addTfjsEncoder(options);
  const model = decodeModel(await readEncoderFile(dirname(path), basename(path)));
  await inlineExternalData(model, path);
  const wrapped = await wrapModel(model, { ...options, ...outputSize(options.geometry) });
  const bare = manifestOf(options, {
    ...{ format: 'onnx', file: 'encoder.onnx', input: 'pixels', output: 'embeddings' },
    ...{ dimension: wrapped.dimension, sha256: sha256Of([wrapped.bytes]) },
  });
  await proveEncoder(wrapped, bare);
  const manifest = { ...bare, proof: await proofOfModel(bare, wrapped.bytes) };
  const files = {
    'encoder.onnx': wrapped.bytes,
    'encoder.json': `${JSON.stringify(manifest, undefined, 2)}\n`,
  };
  return { ...manifest, file: await publishFolder({ dir, files, force }) };
}
