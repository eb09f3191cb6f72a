import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Example } from '../../src/domain/decision.js';
import type { Embeddings } from '../../src/domain/embeddings.js';
import { littleEndianBytes } from '../../src/files/float32.js';
import { exampleLine } from '../../src/examples/examples-file.js';
import { digestFile } from '../../src/files/digest.js';
import { createHnswBuilder, loadHnswModule } from '../../src/neighbours/hnsw.js';
import type { IndexManifest } from '../../src/examples/index-store.js';
import { stageVersion } from '../../src/examples/publish.js';

export const encoderIdentity = {
  name: 'tiny',
  version: '1.0.0',
  sha256: createHash('sha256').update('tiny').digest('hex'),
  digest: createHash('sha256').update('tiny, its geometry').digest('hex'),
  output: { dimension: 2 },
};

export interface SmallIndexOptions {
  readonly root: string;
  readonly embeddings: Embeddings;
  readonly examples: readonly Example[];
  readonly createdAt?: string | undefined;
  readonly keep?: number | undefined;
  /** Leave vectors.hnsw out, as where hnswlib-node could not be built. */
  readonly withoutGraph?: boolean | undefined;
  /** A made-up one unless told. */
  readonly encoder?: IndexManifest['encoder'] | undefined;
}

/** Publishes a small index as a build does. @returns its version folder */
export async function publishSmallIndex(options: SmallIndexOptions): Promise<string> {
  const { root, embeddings, examples, createdAt = '2026-01-01T00:00:00.000Z', keep = 2 } = options;
  const { count, dimension, values } = embeddings;
  const staged = await stageVersion(root);
  try {
    await writeFile(join(staged.dir, 'examples.jsonl'), examples.map(exampleLine).join(''));
    await writeFile(join(staged.dir, 'embeddings.f32'), littleEndianBytes(values));
    await writeFile(join(staged.dir, 'rejects.jsonl'), '');
    const module = options.withoutGraph === true ? undefined : await loadHnswModule();
    const parameters = { m: 16, efConstruction: 100, seed: 1 };
    if (module !== undefined) {
      const builder = createHnswBuilder({ module, dimension, maxElements: count, ...parameters });
      for (let row = 0; row < count; row++)
        builder.add(values.subarray(row * dimension, (row + 1) * dimension));
      await builder.write(join(staged.dir, 'vectors.hnsw'));
    }
    const digest = (file: string) => digestFile(join(staged.dir, file));
    const manifest: IndexManifest = {
      schemaVersion: 1,
      encoder: options.encoder ?? {
        name: encoderIdentity.name,
        version: '1.0.0',
        sha256: encoderIdentity.sha256,
        digest: encoderIdentity.digest,
      },
      dataset: 'drawn',
      dimension,
      space: 'ip',
      ...parameters,
      ef: 64,
      examples: count,
      labels: [...new Set(examples.map(({ label }) => label))].map((label) => ({
        label,
        examples: examples.filter((example) => example.label === label).length,
      })),
      createdAt,
      recall: null,
      files: {
        'examples.jsonl': await digest('examples.jsonl'),
        'embeddings.f32': await digest('embeddings.f32'),
        'rejects.jsonl': await digest('rejects.jsonl'),
        ...(module === undefined ? {} : { 'vectors.hnsw': await digest('vectors.hnsw') }),
      },
    };
    return (await staged.publish({ manifest, keep })).dir;
  } finally {
    await staged.close();
  }
}

/** Rewrites a published manifest, as no build would. */
export async function editManifest(
  dir: string,
  edit: (manifest: Record<string, unknown>) => void,
): Promise<void> {
  const path = join(dir, 'manifest.json');
  const manifest = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  edit(manifest);
  await writeFile(path, JSON.stringify(manifest));
}
