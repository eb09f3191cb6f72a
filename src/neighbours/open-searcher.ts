import { randomUUID } from 'node:crypto';
import { access, constants, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { readEmbeddingsFile } from './embeddings-file.js';
import { createExactSearcher } from './exact.js';
import {
  createHnswBuilder,
  createHnswSearcher,
  holdsRows,
  loadHnswModule,
  openGraph,
  type HnswBuilder,
  type HnswModule,
  type RowGraph,
} from './hnsw.js';
import { readIndexManifest, type IndexManifest } from '../examples/index-store.js';
import { digestFile } from '../files/digest.js';
import type { Searcher } from './searcher.js';

export interface OpenSearcherOptions {
  /** A published version's folder. */
  readonly dir: string;
  /** As it was read before; unless told it is read now. */
  readonly manifest?: IndexManifest | undefined;
  /** `exact` ignores vectors.hnsw; `auto` uses it where it was built and hnswlib-node loads. */
  readonly mode: 'auto' | 'exact';
  readonly threads: number;
  /** hnswlib-node, unless told. */
  readonly loadHnsw?: (() => Promise<HnswModule | undefined>) | undefined;
}

/**
 * Opens the search of a published version. The caller has checked the hashes (`openIndex`); this checks sizes.
 * @throws NearvoteError `index_missing`, `index_invalid`
 */
export async function openSearcher(options: OpenSearcherOptions): Promise<Searcher> {
  const { dir, mode, threads, loadHnsw = loadHnswModule } = options;
  const manifest = options.manifest ?? (await readIndexManifest(dir));
  const { dimension, examples: size, ef, files } = manifest;
  const embeddings = (): Promise<Embeddings> =>
    readEmbeddingsFile({
      ...{ path: join(dir, 'embeddings.f32'), count: size, dimension },
      // What is read here may be days younger than what was checked when the version was opened.
      sha256: files['embeddings.f32'].sha256,
    });
  const exact = async (): Promise<Searcher> =>
    createExactSearcher({ embeddings: await embeddings(), threads });

  if (mode === 'exact' || files['vectors.hnsw'] === undefined) return exact();
  const module = await loadHnsw();
  if (module === undefined) return exact();
  const { bytes } = files['vectors.hnsw'];
  const graph = await openVersionGraph({ module, dir, manifest, bytes, embeddings });
  return createHnswSearcher({ ...graph, size, dimension, ef, exact });
}

interface VersionGraphOptions {
  readonly module: HnswModule;
  readonly dir: string;
  readonly manifest: IndexManifest;
  /** Of vectors.hnsw. */
  readonly bytes: number;
  readonly embeddings: () => Promise<Embeddings>;
}

/** vectors.hnsw, or what is derived from the embeddings where the version travelled without it. */
async function openVersionGraph(options: VersionGraphOptions): Promise<RowGraph> {
  const { module, dir, manifest, bytes, embeddings } = options;
  const { examples: size, dimension } = manifest;
  const published = join(dir, 'vectors.hnsw');
  const found = await stat(published).catch(() => undefined);
  if (found === undefined) {
    const file = await findDerived(dir);
    return (file === undefined ? undefined : await openDerived(file, options)) ?? deriveGraph(options);
  }
  // hnswlib trusts the lengths it reads.
  if (found.size !== bytes) {
    throw new NearvoteError(
      'index_invalid',
      `Expected vectors.hnsw to hold ${bytes} bytes but it holds ${found.size}`,
    );
  }
  return openGraph({ module, file: published, size, dimension, embeddings });
}

/**
 * No manifest knows the hash of what was derived here: its vectors are held against the embeddings, whose hash it knows.
 * @returns undefined for a graph of other rows, whose answers would have other labels
 */
async function openDerived(file: string, options: VersionGraphOptions): Promise<RowGraph | undefined> {
  const { module, manifest, embeddings } = options;
  const { examples: size, dimension } = manifest;
  try {
    const opened = await openGraph({ module, file, size, dimension, embeddings });
    if (holdsRows(opened, await embeddings())) return opened;
  } catch (error) {
    if (!(error instanceof NearvoteError)) throw error;
  }
  await rm(file, { force: true }).catch(() => undefined);
  return undefined;
}

/**
 * The graph of a version that travels without one (it doubles the size of an index and is a function of the embeddings):
 * built on first use with the manifest's own parameters and seed, and kept beside the embeddings where that can be
 * written. Several processes may do this at once; each writes a whole file and renames it.
 */
async function deriveGraph({ module, dir, manifest, embeddings }: VersionGraphOptions): Promise<RowGraph> {
  const { dimension, examples: size } = manifest;
  const { values } = await embeddings();
  const build = (): HnswBuilder => {
    const builder = createHnswBuilder({ ...manifest, module, maxElements: size });
    for (let row = 0; row < size; row++) {
      builder.add(values.subarray(row * dimension, (row + 1) * dimension));
    }
    return builder;
  };
  const builder = build();
  // A folder that cannot be written costs this work at every start, and nothing else.
  if (!(await isWritable(dir))) return builder.finish();
  const staged = join(dir, `.derived-${randomUUID()}`);
  try {
    const graph = await builder.write(staged);
    const { sha256 } = await digestFile(staged);
    await rename(staged, join(dir, `derived-${sha256}.hnsw`));
    return graph;
  } catch (error) {
    if (!(error instanceof NearvoteError) || error.code !== 'output_unwritable') throw error;
    // A full disk; what was built was let go of before it was read back.
    return build().finish();
  } finally {
    await rm(staged, { force: true });
  }
}

/** Not tried by writing: a process killed meanwhile would leave that in the index. */
async function isWritable(dir: string): Promise<boolean> {
  return access(dir, constants.W_OK).then(
    () => true,
    () => false,
  );
}

/** The name holds the sha256 of the content: a file that was torn or changed is not what it says it is. */
const derivedName = /^derived-([0-9a-f]{64})\.hnsw$/;

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
