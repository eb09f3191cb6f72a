import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { readCalibration } from '../examples/calibration-file.js';
import {
  checkFile,
  readIndexManifest,
  readPublished,
  readVersion,
  type IndexManifest,
  type PublishedVersion,
} from '../examples/index-store.js';
import { leaseVersion } from '../examples/lease.js';
import { readEmbeddingsFile } from '../neighbours/embeddings-file.js';
import type { HnswModule } from '../neighbours/hnsw.js';
import { stateAt } from './held-state.js';
import { readJournal, versionFolders } from './kept-versions.js';
import { verifyGraph } from './verify-graph.js';

export interface VerifyOptions {
  /** `index/<name>`. */
  readonly root: string;
  /** hnswlib-node, unless told. */
  readonly loadHnsw?: (() => Promise<HnswModule | undefined>) | undefined;
}

export interface VerifiedIndex {
  /** The version served; null where that cannot be told. */
  readonly version: string | null;
  /** How many versions were looked at, and how many changes. */
  readonly versions: number;
  readonly changes: number;
  /** Sentences: what was wrong and was made anew. */
  readonly repaired: readonly string[];
  /** Sentences: what is wrong. */
  readonly defects: readonly string[];
}

/** Tries something; a defect that ends it is noted. */
type Look = <T>(work: () => Promise<T>) => Promise<T | undefined>;

/**
 * Looks at all that is kept of an index: the hashes, counts and norms of every version, the journal, and whether its changes
 * fit the version served. Graphs, which follow from the embeddings, are made anew where they are wrong.
 * @throws NearvoteError `index_missing` where there is no index at all
 */
export async function verifyIndex({ root, loadHnsw }: VerifyOptions): Promise<VerifiedIndex> {
  const repaired: string[] = [];
  const defects: string[] = [];
  const look: Look = async (work) => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof NearvoteError)) throw error;
      defects.push(error.message);
      return undefined;
    }
  };
  const versions = await versionFolders(root);
  const current = await look(() => readPublished(root));
  for (const version of versions) {
    await look(async () => {
      const lease = await leaseVersion(root, version);
      try {
        const dir = join(root, version);
        const manifest = await readIndexManifest(dir);
        if (!(await verifyRows({ dir, manifest }, look))) return;
        const repair = await verifyGraph({ root, dir, manifest, loadHnsw });
        if (repair !== undefined) repaired.push(repair);
      } finally {
        await lease.release();
      }
    });
  }
  const changes = current === undefined ? 0 : await verifyChanges(root, current, { look, defects });
  await look(() => readCalibration(root));
  return { version: current?.version ?? null, versions: versions.length, changes, repaired, defects };
}

type Version = Pick<PublishedVersion, 'dir' | 'manifest'>;

/** Looks at all of a version but its graph. @returns whether that is whole */
async function verifyRows({ dir, manifest }: Version, look: Look): Promise<boolean> {
  const whole: boolean[] = [];
  for (const [file, expected] of Object.entries(withoutGraph(manifest).files)) {
    whole.push((await look(() => checkFile(join(dir, file), expected).then(() => true))) === true);
  }
  if (whole.includes(false)) return false;
  const counted = await look(() => verifyExamples({ dir, manifest: withoutGraph(manifest) }));
  const { examples: count, dimension } = manifest;
  const path = join(dir, 'embeddings.f32');
  const embeddings = await look(() => readEmbeddingsFile({ path, count, dimension }));
  return counted !== undefined && embeddings !== undefined;
}

function withoutGraph(manifest: IndexManifest): IndexManifest {
  return { ...manifest, files: { ...manifest.files, 'vectors.hnsw': undefined } };
}

/** @returns how many there are */
async function verifyExamples(version: Version): Promise<number> {
  const seen = new Set<string>();
  for (const { id } of await readVersion(version)) {
    if (seen.has(id)) {
      throw new NearvoteError(
        'index_invalid',
        `Expected every id once in ${join(version.dir, 'examples.jsonl')} but ${JSON.stringify(id)} comes twice`,
      );
    }
    seen.add(id);
  }
  return seen.size;
}

/** Looks at the journal, and whether its changes can be made to the version served. @returns how many there are */
async function verifyChanges(
  root: string,
  current: PublishedVersion,
  { look, defects }: { readonly look: Look; readonly defects: string[] },
): Promise<number> {
  using journal = await look(() => readJournal(root, current));
  if (journal === undefined) return 0;
  const found = await look(() => Promise.resolve(journal.verify({ dimension: current.manifest.dimension })));
  defects.push(...(found?.defects ?? []));
  // What is damaged fits nothing: it is said once.
  if (defects.length === 0) await look(() => stateAt(current, journal, journal.head));
  return found?.changes ?? 0;
}
