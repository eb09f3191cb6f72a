import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { readEmbeddingsFile } from './embeddings-file.js';
import { createExactSearcher } from './exact.js';
import { openGraph } from './hnsw-graph.js';
import { loadHnswModule, type HnswModule } from './hnsw-module.js';
import { createHnswSearcher } from './hnsw.js';
import { readIndexManifest } from './index-manifest.js';
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
  const { dimension, examples, ef, files } = await readIndexManifest(dir);

  const exact = async (): Promise<Searcher> => {
    const path = join(dir, 'embeddings.f32');
    const embeddings = await readEmbeddingsFile({ path, count: examples, dimension });
    return createExactSearcher({ embeddings, threads });
  };

  const expected = files['vectors.hnsw'];
  if (mode === 'exact' || expected === undefined) return exact();
  const module = await loadHnsw();
  if (module === undefined) return exact();
  const file = join(dir, 'vectors.hnsw');
  const found = await stat(file).catch((cause: unknown) => {
    throw new NearvoteError('index_invalid', 'Expected vectors.hnsw but it cannot be read', { cause });
  });
  // hnswlib trusts the lengths it reads.
  if (found.size !== expected.bytes) {
    throw new NearvoteError(
      'index_invalid',
      `Expected vectors.hnsw to hold ${expected.bytes} bytes but it holds ${found.size}`,
    );
  }
  const graph = await openGraph({ module, file, size: examples, dimension });
  return createHnswSearcher({ graph, size: examples, dimension, ef, exact });
}
