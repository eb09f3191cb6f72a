import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import type { IndexManifest } from '../examples/index-store.js';
import type { Published, StagedVersion } from '../examples/publish.js';
import { digestFile } from '../files/digest.js';
import { readEmbeddingsFile } from '../neighbours/embeddings-file.js';
import { createExactSearcher } from '../neighbours/exact.js';
import { createHnswSearcher, type HnswBuilder, type HnswParameters } from '../neighbours/hnsw.js';
import { measureIndex, type IndexMeasurement } from './measure-index.js';
import type { VersionFiles } from './version-files.js';

export interface FinishVersionOptions {
  readonly staged: StagedVersion;
  /** What has all rows already, in their order. */
  readonly files: VersionFiles;
  /** Of the same rows; absent where hnswlib-node could not be built. */
  readonly graph: HnswBuilder | undefined;
  /** Of each row. */
  readonly labels: readonly string[];
  readonly dimension: number;
  readonly hnsw: HnswParameters & { readonly ef: number };
  /** What of the manifest does not follow from the rows. */
  readonly about: Pick<IndexManifest, 'encoder' | 'dataset' | 'trainedOn' | 'sequence' | 'lineage'>;
  /** Below this index recall@20 nothing is published; unless told, what is below 0.99 is published without its graph. */
  readonly minRecall?: number | undefined;
  /** Old versions to keep. */
  readonly keep: number;
  /** Of exact search, which measures; all cores unless told. */
  readonly threads?: number | undefined;
  readonly progress: Progress;
  readonly now: () => Date;
}

export interface FinishedVersion extends Published {
  readonly manifest: IndexManifest;
  readonly measured: IndexMeasurement;
  /** Why the graph is left out, where its recall is too low. */
  readonly refused: string | undefined;
}

/**
 * Writes the graph of a version whose rows are written, measures the two and publishes them in one step.
 * @throws NearvoteError `recall_too_low`, `output_unwritable`
 */
export async function finishVersion(options: FinishVersionOptions): Promise<FinishedVersion> {
  const {
    staged,
    files,
    graph,
    labels,
    dimension,
    hnsw,
    progress,
    threads = availableParallelism(),
  } = options;
  const rows = files.close();
  const vectors = join(staged.dir, 'vectors.hnsw');
  const size = labels.length;
  const written = await graph?.write(vectors);
  const path = join(staged.dir, 'embeddings.f32');
  const embeddings = await readEmbeddingsFile({ path, count: size, dimension });
  const exact = await createExactSearcher({ embeddings, threads });
  const searcher =
    written === undefined
      ? exact
      : createHnswSearcher({ ...written, size, dimension, ef: hnsw.ef, exact: () => Promise.resolve(exact) });
  const { seed } = hnsw;
  const measured = await measureIndex({ embeddings, labels, searcher, exact, seed, progress }).finally(() =>
    exact.close(),
  );
  const refused = requireRecall(measured, options.minRecall);
  const kept = refused === undefined ? written : undefined;
  if (kept === undefined) await rm(vectors, { force: true });

  const manifest: IndexManifest = {
    schemaVersion: 1,
    ...options.about,
    dimension,
    space: 'ip',
    m: hnsw.m,
    efConstruction: hnsw.efConstruction,
    ef: hnsw.ef,
    seed,
    examples: size,
    labels: countLabels(labels),
    createdAt: options.now().toISOString(),
    recall: kept === undefined ? null : measured.recall,
    files: { ...rows, ...(kept === undefined ? {} : { 'vectors.hnsw': await digestFile(vectors) }) },
  };
  return { ...(await staged.publish({ manifest, keep: options.keep })), manifest, measured, refused };
}

/** In the order in which labels come first. */
function countLabels(labels: readonly string[]): IndexManifest['labels'] {
  const counts = new Map<string, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].map(([label, examples]) => ({ label, examples }));
}

const defaultMinRecall = 0.99;

/**
 * @returns why the graph is left out, where it is
 * @throws NearvoteError `recall_too_low` when a recall was asked for that it does not reach
 */
function requireRecall({ recall }: IndexMeasurement, minRecall: number | undefined): string | undefined {
  const least = minRecall ?? defaultMinRecall;
  if (recall === null || recall.value >= least) return undefined;
  const found = `index recall@${recall.k} of at least ${least} but measured ${recall.value.toFixed(4)} over ${recall.queries} queries`;
  if (minRecall === undefined) {
    return `Expected ${found}: the index has no graph, search is exact. A higher ef, m or ef-construction may raise it, but not where many examples are all but the same`;
  }
  throw new NearvoteError(
    'recall_too_low',
    `Expected ${found}; without --min-recall the index is published without its graph, for exact search. Nothing was published`,
  );
}
