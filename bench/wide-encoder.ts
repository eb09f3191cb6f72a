import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fingerprintBytes, packFingerprints } from '../src/domain/fingerprints.js';
import { trainedImageDigest } from '../src/embed/image-key.js';
import { encoderManifestSchema, sha256Of } from '../src/encoder/manifest.js';
import { proofOfModel } from '../src/encoder/proof-of-model.js';
import { openDataset } from '../src/image/dataset/open-dataset.js';

interface WideMetrics {
  readonly parameters: number;
  readonly test: Readonly<Record<string, number>>;
}

/**
 * Makes an encoder's folder of `SHARED/models/cifar10-wide`, which takes pixels itself and so needs no more than a manifest,
 * the fingerprints of the images it was trained on, and a proof.
 * @returns the folder
 */
export async function writeWideEncoder(shared: string, out: string): Promise<string> {
  const from = join(shared, 'models/cifar10-wide');
  const model = await readFile(join(from, 'encoder.onnx'));
  const { test, parameters } = JSON.parse(await readFile(join(from, 'metrics.json'), 'utf8')) as WideMetrics;
  const fingerprints = await fingerprintsOf(join(shared, 'data/cifar10'));
  const imagesSha256 = sha256Of([fingerprints]);
  const imagesFile = `trained-images-${imagesSha256.slice(0, 8)}.bin`;
  const bare = encoderManifestSchema.parse({
    ...{ name: 'cifar10-wide', version: '1.0.0', format: 'onnx', file: 'encoder.onnx' },
    sha256: sha256Of([model]),
    input: { name: 'pixels', width: 32, height: 32, fit: 'fill', kernel: 'cubic' },
    output: { name: 'embeddings', dimension: 384 },
    trainedOn: ['cifar10 (train)'],
    trainedImages: {
      ...{ file: imagesFile, sha256: imagesSha256, count: fingerprints.length / fingerprintBytes },
      datasets: ['cifar10 (train)'],
    },
    metrics: {
      ...Object.fromEntries(Object.entries(test).map(([key, value]) => [`cifar10 test ${key}`, value])),
      parameters,
    },
    licence: 'Apache-2.0',
  });
  const manifest = { ...bare, proof: await proofOfModel(bare, model) };
  await mkdir(out, { recursive: true });
  await copyFile(join(from, 'encoder.onnx'), join(out, 'encoder.onnx'));
  await writeFile(join(out, imagesFile), fingerprints);
  await writeFile(join(out, 'encoder.json'), JSON.stringify(manifest, undefined, 2));
  return out;
}

async function fingerprintsOf(cifar: string): Promise<Uint8Array> {
  const digests: Uint8Array[] = [];
  for await (const image of (await openDataset(cifar, { split: 'train' })).images()) {
    digests.push(trainedImageDigest(await image.read()));
  }
  return packFingerprints(digests);
}
