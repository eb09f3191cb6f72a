import { createHash } from 'node:crypto';
import { basename, dirname } from 'node:path';
import type { io } from '@tensorflow/tfjs';
import { outputSize } from '../../image/geometry.js';
import { type EncoderManifest, sha256Of } from '../manifest.js';
import { makeProof } from '../proof.js';
import { openTensorFlow } from '../tensorflow.js';
import { readTfjsFiles } from '../tfjs-files.js';
import { openTfjsEncoder } from '../tfjs-runtime.js';
import { type AddEncoderOptions, manifestOf } from './added-manifest.js';
import { proveCompany } from './prove.js';
import { publishFolder } from './publish.js';
import { wrapTfjs } from './wrap-tfjs.js';

/**
 * Wraps a TensorFlow.js model, graph or layers, as `addEncoder` does an ONNX one: `path` is its model.json.
 * @throws NearvoteError as `addEncoder`, `dependency_missing` where TensorFlow.js is not installed
 */
export async function addTfjsEncoder(options: AddEncoderOptions): Promise<EncoderManifest> {
  const { path, dir, force } = options;
  const files = await readTfjsFiles(dirname(path), basename(path));
  const artifacts = files.artifacts();
  const { tf } = await openTensorFlow();
  const wrapped = await wrapTfjs({
    ...options,
    ...outputSize(options.geometry),
    ...{ tf, artifacts, weights: files.weights() },
  });
  const { model, weights, weightsFile } = filesOf(wrapped.artifacts);
  const bare = manifestOf(options, {
    format: 'tfjs',
    file: 'model.json',
    sha256: sha256Of([model, weights]),
    ...wrapped,
  });
  const encoder = await openTfjsEncoder({ manifest: bare, artifacts: wrapped.artifacts, threads: 1 });
  let manifest: EncoderManifest;
  try {
    await proveCompany(encoder);
    manifest = { ...bare, proof: await makeProof(encoder) };
  } finally {
    await encoder.close();
  }
  const written = {
    'model.json': model,
    [weightsFile]: weights,
    'encoder.json': `${JSON.stringify(manifest, undefined, 2)}\n`,
  };
  return { ...manifest, file: await publishFolder({ dir, files: written, model: 'model.json', force }) };
}

/** The shard is named after what it holds: where an encoder is replaced, the old model.json never meets the new weights. */
function filesOf({ format, modelTopology, weightSpecs, weightData = new ArrayBuffer(0) }: io.ModelArtifacts) {
  const parts = (Array.isArray(weightData) ? weightData : [weightData]).map((part) => new Uint8Array(part));
  const weights = Buffer.concat(parts);
  const weightsFile = `weights-${createHash('sha256').update(weights).digest('hex').slice(0, 8)}.bin`;
  const manifest = [{ paths: [weightsFile], weights: weightSpecs }];
  const model = Buffer.from(JSON.stringify({ format, modelTopology, weightsManifest: manifest }));
  return { model, weights, weightsFile };
}
