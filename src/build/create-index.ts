import { stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { readEncoderManifest } from '../encoder/load.js';
import { currentFile } from '../examples/index-store.js';
import { stageVersion } from '../examples/publish.js';
import { writing } from '../files/durable.js';
import type { HnswParameters } from '../neighbours/hnsw.js';
import { resolveShipped } from '../pair.js';
import { encoderOf } from './build-index.js';
import { createVersionFiles } from './version-files.js';

export interface CreateIndexOptions {
  /** `index/<name>`. */
  readonly out: string;
  /** Folder of the encoder. */
  readonly encoder: string;
  /** Of the graph that compaction will make of what is taught. */
  readonly hnsw: HnswParameters & { readonly ef: number };
  readonly now: () => Date;
}

export interface CreatedIndex {
  readonly name: string;
  readonly version: string;
  readonly encoder: string;
  readonly dimension: number;
}

/**
 * Publishes an index without examples, to be taught while it is served.
 * @throws NearvoteError `output_exists` where there is an index, `encoder_*`, `output_unwritable`
 */
export async function createIndex(options: CreateIndexOptions): Promise<CreatedIndex> {
  const { out, hnsw, now } = options;
  const encoderDir = resolveShipped(options.encoder);
  const encoder = await readEncoderManifest(encoderDir);
  const { dimension } = encoder.output;
  await checkNone(out);
  return writing(out, async () => {
    const staged = await stageVersion(out);
    try {
      // Another process may have published one until the lock was ours.
      await checkNone(out);
      const { m, efConstruction, ef, seed } = hnsw;
      const { version } = await staged.publish({
        keep: 0,
        manifest: {
          schemaVersion: 1,
          encoder: await encoderOf(encoder, out, encoderDir),
          dataset: 'nothing',
          ...{ dimension, space: 'ip', m, efConstruction, ef, seed },
          examples: 0,
          labels: [],
          trainedOn: 0,
          createdAt: now().toISOString(),
          recall: null,
          files: createVersionFiles(staged.dir).close(),
        },
      });
      return { name: basename(resolve(out)), version, encoder: encoder.name, dimension };
    } finally {
      await staged.close();
    }
  });
}

async function checkNone(out: string): Promise<void> {
  if ((await stat(join(out, currentFile)).catch(() => undefined)) === undefined) return;
  throw new NearvoteError(
    'output_exists',
    `Expected ${out} to hold no index but it holds one; another name, or nearvote index show ${out}`,
  );
}
