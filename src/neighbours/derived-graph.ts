import { randomUUID } from 'node:crypto';
import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readEmbeddingsFile } from './embeddings-file.js';
import { digestFile } from '../files/digest.js';
import { createHnswBuilder, openGraph } from './hnsw-graph.js';
import type { HnswGraph, HnswModule } from './hnsw-module.js';
import type { IndexManifest } from '../examples/index-store.js';

/** The name holds the sha256 of the content: a file that was torn or changed is not what it says it is. */
const derivedName = /^derived-([0-9a-f]{64})\.hnsw$/;

export interface DerivedGraphOptions {
  readonly module: HnswModule;
  /** A published version's folder that lacks vectors.hnsw. */
  readonly dir: string;
  readonly manifest: IndexManifest;
}

/**
 * The graph of a version that travels without one (it doubles the size of an index and is a function of the embeddings):
 * built on first use with the manifest's own parameters and seed, and kept beside the embeddings where that can be
 * written. Several processes may do this at once; each writes a whole file and renames it.
 * @throws NearvoteError `index_invalid`
 */
export async function openDerivedGraph(options: DerivedGraphOptions): Promise<HnswGraph> {
  const { module, dir, manifest } = options;
  const { dimension, examples: size } = manifest;
  const file = await findDerived(dir);
  if (file !== undefined) return openGraph({ module, file, size, dimension });

  const embeddings = await readEmbeddingsFile({ path: join(dir, 'embeddings.f32'), count: size, dimension });
  const builder = createHnswBuilder({ ...manifest, module, maxElements: size });
  for (let row = 0; row < size; row++) {
    builder.add(embeddings.values.subarray(row * dimension, (row + 1) * dimension));
  }
  const writable = await isWritable(dir);
  // A folder that cannot be written costs this work at every start, and nothing else.
  const staged = join(writable ? dir : tmpdir(), `.derived-${randomUUID()}`);
  try {
    const graph = await builder.write(staged);
    const { sha256 } = await digestFile(staged);
    if (writable) await rename(staged, join(dir, `derived-${sha256}.hnsw`));
    return graph;
  } finally {
    await rm(staged, { force: true });
  }
}

async function isWritable(dir: string): Promise<boolean> {
  const probe = join(dir, `.probe-${randomUUID()}`);
  try {
    await writeFile(probe, '');
    await rm(probe);
    return true;
  } catch {
    return false;
  }
}

async function findDerived(dir: string): Promise<string | undefined> {
  for (const name of await readdir(dir)) {
    const sha256 = derivedName.exec(name)?.[1];
    if (sha256 === undefined) continue;
    const path = join(dir, name);
    const found = await digestFile(path).catch(() => undefined);
    if (found?.sha256 === sha256) return path;
    await rm(path, { force: true }).catch(() => undefined);
  }
  return undefined;
}
