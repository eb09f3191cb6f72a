import { sha256Of } from '../../../src/encoder/manifest.js';

/** The files of an encoder; its model is a word. */
export function filesOf(version: string): Record<string, string> {
  const manifest = {
    name: 'colour',
    version,
    format: 'onnx',
    file: 'encoder.onnx',
    sha256: sha256Of([Buffer.from(`model ${version}`)]),
    input: { name: 'pixels', width: 2, height: 2, fit: 'fill', kernel: 'cubic' },
    output: { name: 'embeddings', dimension: 3 },
    trainedOn: [],
    metrics: {},
    licence: 'MIT',
  };
  return {
    'encoder.onnx': `model ${version}`,
    'encoder.json': JSON.stringify(manifest),
    'README.md': `about ${version}`,
  };
}
