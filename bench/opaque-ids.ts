/*
 * Gives an index whose ids are paths the ids that a build gives today, from the images it was built of: the same rows,
 * embeddings, graph and calibration as a new version.  npx tsx bench/opaque-ids.ts INDEX DATASET
 */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { contentDigest } from '../src/embed/image-key.js';
import { createVersionFiles } from '../src/build/version-files.js';
import { readCalibration, writeCalibration } from '../src/examples/calibration-file.js';
import { encoderIdentity } from '../src/encoder/manifest.js';
import { createExampleIds } from '../src/examples/examples-file.js';
import { openIndex } from '../src/examples/index-store.js';
import { stageVersion } from '../src/examples/publish.js';
import { everyImageById } from '../src/image/dataset/dataset.js';
import { openDataset } from '../src/image/dataset/open-dataset.js';
import { readEmbeddingsFile } from '../src/neighbours/embeddings-file.js';
import { findEncoder } from '../src/pair.js';

const [, , root = 'index/cifar10', data = '../shared/data/cifar10'] = process.argv;
const index = await openIndex(root);
const calibration = await readCalibration(root);
const { encoder } = await findEncoder(index, 'models');
const dataset = await openDataset(data, { split: 'train' });
const sources = index.examples.map(({ source }) => source);
const images = await everyImageById({ dataset, ids: sources, place: data });
const { dimension, examples: count, files: before } = index.manifest;
const { values } = await readEmbeddingsFile({ path: join(index.dir, 'embeddings.f32'), count, dimension });

const staged = await stageVersion(root);
try {
  const files = createVersionFiles(staged.dir);
  const nameExample = createExampleIds();
  for (const [row, image] of images.entries()) {
    const { label, source } = image;
    if (label !== index.examples[row]?.label) throw new Error(`Expected another label for ${source}`);
    const id = nameExample({ digest: contentDigest(await image.read()), label });
    files.addExample({ id, label, source }, values.subarray(row * dimension, (row + 1) * dimension));
  }
  const written = files.close();
  if (written['embeddings.f32'].sha256 !== before['embeddings.f32'].sha256) {
    throw new Error('Expected the embeddings to stay as they are');
  }
  for (const file of ['rejects.jsonl', 'vectors.hnsw']) {
    await copyFile(join(index.dir, file), join(staged.dir, file)).catch((error: unknown) => {
      // The graph may be one that is derived.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    });
  }
  const manifest = {
    ...index.manifest,
    encoder: { ...index.manifest.encoder, digest: encoderIdentity(encoder).digest },
    files: { ...before, 'examples.jsonl': written['examples.jsonl'] },
  };
  const { version } = await staged.publish({ manifest, keep: 0 });
  await staged.close();
  if (calibration !== undefined) {
    await writeCalibration(root, { ...calibration, index: { ...calibration.index, version } });
  }
  console.log(`${index.name} ${version}: ${images.length} examples`);
} finally {
  await staged.close();
}
