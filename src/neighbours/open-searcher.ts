import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { readEmbeddingsFile } from './embeddings-file.js';
import { createExactSearcher } from './exact.js';
import { openDerivedGraph, type DerivedGraphOptions } from './derived-graph.js';
import { openGraph } from './hnsw-graph.js';
import { loadHnswModule, type HnswGraph, type HnswModule } from './hnsw-module.js';
import { createHnswSearcher } from './hnsw.js';
import { readIndexManifest } from '../examples/index-store.js';
import type { Searcher } from './searcher.js';

export interface OpenSearcherOptions {
  /** A published version's folder. */
  readonly dir: string;
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
  const manifest = await readIndexManifest(dir);
  const { dimension, examples, ef, files } = manifest;

  const exact = async (): Promise<Searcher> => {
    const path = join(dir, 'embeddings.f32');
    const embeddings = await readEmbeddingsFile({ path, count: examples, dimension });
    return createExactSearcher({ embeddings, threads });
  };

  const expected = files['vectors.hnsw'];
  if (mode === 'exact' || expected === undefined) return exact();
  const module = await loadHnsw();
  if (module === undefined) return exact();
  const graph = await openPublishedGraph({ module, dir, manifest, bytes: expected.bytes });
  return createHnswSearcher({ graph, size: examples, dimension, ef, exact });
}

interface PublishedGraphOptions extends DerivedGraphOptions {
  readonly bytes: number;
}

/** vectors.hnsw, or what is derived from the embeddings where the version travelled without it. */
async function openPublishedGraph(options: PublishedGraphOptions): Promise<HnswGraph> {
  const { module, dir, manifest, bytes } = options;
  const file = join(dir, 'vectors.hnsw');
  const found = await stat(file).catch(() => undefined);
  if (found === undefined) return openDerivedGraph({ module, dir, manifest });
  // hnswlib trusts the lengths it reads.
  if (found.size !== bytes) {
    throw new NearvoteError(
      'index_invalid',
      `Expected vectors.hnsw to hold ${bytes} bytes but it holds ${found.size}`,
    );
  }
  return openGraph({ module, file, size: manifest.examples, dimension: manifest.dimension });
}
