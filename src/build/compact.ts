import { basename, resolve } from 'node:path';
import type { Progress } from '../domain/progress.js';
import {
  contentDigest,
  readPublished,
  type IndexManifest,
  type PublishedVersion,
} from '../examples/index-store.js';
import { stageVersion, type StagedVersion } from '../examples/publish.js';
import { writing } from '../files/durable.js';
import { openEmbeddedIndex, type EmbeddedIndex } from '../neighbours/embedded-index.js';
import { createHnswBuilder, loadHnswModule, type HnswBuilder, type HnswModule } from '../neighbours/hnsw.js';
import type { IndexState } from '../neighbours/neighbours.js';
import { finishVersion } from './finish-version.js';
import { createVersionFiles, type VersionFiles } from './version-files.js';

export interface CompactOptions {
  /** `index/<name>`. */
  readonly root: string;
  /** Old versions to keep. */
  readonly keep: number;
  /** Of the measurement. */
  readonly threads: number;
  readonly progress: Progress;
  readonly now: () => Date;
  /** hnswlib-node, unless told. */
  readonly loadHnsw?: (() => Promise<HnswModule | undefined>) | undefined;
}

/** Up to so many an overlay costs a search less than the encoder varies (docs/benchmarks.md). */
const fewestToCompact = 1_000;
/** Of the examples. */
const shareToCompact = 0.1;

/** Whether so many changes lie beside a version that they are to be folded into a new one. */
export function isDueForCompaction({ changed, examples }: Pick<IndexState, 'changed' | 'examples'>): boolean {
  return changed >= Math.max(fewestToCompact, shareToCompact * examples);
}

export interface CompactReport {
  readonly name: string;
  readonly version: string;
  /** False where there was nothing to fold in: the version is the one from before. */
  readonly changed: boolean;
  /** All changes up to it are in the version. */
  readonly sequence: number;
  readonly examples: number;
  /** Why the version has no graph, where its recall is too low. */
  readonly refused: string | undefined;
}

/**
 * Folds the changes of an index into a new version and publishes it in one step: the version's examples in their order
 * without those that were deleted, then what was added. Changes that come meanwhile are not in it; they apply to it.
 * @throws NearvoteError `index_missing`, `index_invalid`, `output_unwritable`
 */
export function compactIndex(options: CompactOptions): Promise<CompactReport> {
  const { root } = options;
  return writing(root, async () => {
    const staged = await stageVersion(root);
    try {
      return await compactStaged(options, staged);
    } finally {
      await staged.close();
    }
  });
}

async function compactStaged(options: CompactOptions, staged: StagedVersion): Promise<CompactReport> {
  const { root, keep, threads, progress, now } = options;
  const published = await readPublished(root);
  const { manifest, version } = published;
  const index = await openEmbeddedIndex({
    ...published,
    ...{ search: 'exact', threads, access: 'read', now },
  });
  try {
    const { sequence, size } = index;
    const name = basename(resolve(root));
    if (sequence === (manifest.sequence ?? 0)) {
      return { ...{ name, version, sequence, examples: size }, changed: false, refused: undefined };
    }
    const module = size === 0 ? undefined : await (options.loadHnsw ?? loadHnswModule)();
    const { dimension } = index;
    const graph = module && createHnswBuilder({ ...manifest, module, dimension, maxElements: size });
    const files = createVersionFiles(staged.dir);
    let labels: readonly string[];
    try {
      labels = await copyExamples(index, { files, graph, progress });
    } finally {
      files.close();
    }
    const finished = await finishVersion({
      ...{ staged, files, graph, labels, dimension, keep, threads, progress, now },
      hnsw: manifest,
      about: { ...aboutOf(manifest), sequence, lineage: lineageOf(published, index) },
    });
    const { changed, refused } = finished;
    return { ...{ name, sequence, changed, refused }, version: finished.version, examples: size };
  } finally {
    await index.close();
  }
}

interface Sinks {
  readonly files: VersionFiles;
  readonly graph: HnswBuilder | undefined;
  readonly progress: Progress;
}

const rowsPerTurn = 64;

/** Gives every live example its row. @returns the label of each */
async function copyExamples(index: EmbeddedIndex, { files, graph, progress }: Sinks): Promise<string[]> {
  const labels: string[] = [];
  progress.start({ name: 'compacting', total: index.size, unit: 'examples' });
  for (const position of index.positions()) {
    const example = index.exampleAt(position);
    const embedding = Float32Array.from(index.embeddingAt(position));
    files.addExample(example, embedding);
    graph?.add(embedding);
    labels.push(example.label);
    progress.advance(1);
    // Inserting holds the thread: let a Ctrl-C be heard.
    if (labels.length % rowsPerTurn === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  progress.finish();
  return labels;
}

function aboutOf({
  encoder,
  dataset,
  trainedOn,
}: IndexManifest): Pick<IndexManifest, 'encoder' | 'dataset' | 'trainedOn'> {
  return { encoder, dataset, ...(trainedOn === undefined ? {} : { trainedOn }) };
}

/** A calibration of a version from before these is long stale. */
const longestLineage = 20;

function lineageOf({ version, manifest }: PublishedVersion, index: EmbeddedIndex): IndexManifest['lineage'] {
  const { changed, labels } = index.state();
  const known = new Set(manifest.labels.map(({ label }) => label));
  const newLabels = labels.map(({ label }) => label).filter((label) => !known.has(label));
  const parent = { version, digest: contentDigest(manifest), changed, newLabels };
  const before = (manifest.lineage ?? []).map((one) => ({
    ...one,
    changed: one.changed + changed,
    newLabels: [...new Set([...one.newLabels, ...newLabels])],
  }));
  return [parent, ...before].slice(0, longestLineage);
}
