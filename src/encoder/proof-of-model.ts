import type { EncoderManifest, Proof } from './manifest.js';
import { openOnnxEncoder } from './onnx-runtime.js';
import { checkProof, makeProof } from './proof.js';

/**
 * Makes the proof of an ONNX encoder from what its model says, computed step by step and not as ONNX Runtime rewrites it,
 * and sees that what this processor serves meets it.
 * @throws NearvoteError `encoder_unsupported` where it does not
 */
export async function proofOfModel(
  manifest: EncoderManifest,
  bytes: Uint8Array,
  minCosine?: number,
): Promise<Proof> {
  const plain = await openOnnxEncoder({ manifest, bytes, threads: 1, optimisation: 'disabled' });
  const proof = await makeProof(plain, minCosine).finally(() => plain.close());
  const served = await openOnnxEncoder({ manifest: { ...manifest, proof }, bytes, threads: 1 });
  await checkProof(served).finally(() => served.close());
  return proof;
}
