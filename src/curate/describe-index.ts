import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import {
  currentFile,
  readPublished,
  type IndexManifest,
  type PublishedVersion,
} from '../examples/index-store.js';
import type { Change } from '../examples/journal-record.js';
import { keptVersions, readJournal, sequenceOf } from './kept-versions.js';

interface IndexSummary {
  readonly name: string;
  /** Its folder. */
  readonly root: string;
  readonly version: string;
  /** Of the last change. */
  readonly sequence: number;
  /** How many changes the version does not hold. */
  readonly changesSince: number;
  /** With those changes. */
  readonly examples: number;
  readonly labels: readonly { readonly label: string; readonly examples: number }[];
  readonly encoder: IndexManifest['encoder'];
  readonly dimension: number;
}

interface KeptVersion {
  readonly version: string;
  readonly createdAt: string;
  readonly sequence: number;
  readonly examples: number;
  /** Of its files. */
  readonly bytes: number;
}

export interface IndexDescription extends IndexSummary {
  /** Whether the version has a graph. */
  readonly search: 'hnsw' | 'exact';
  readonly dataset: string;
  /** The version served among them, the oldest first. */
  readonly versions: readonly KeptVersion[];
  /** Of all that lies in its folder. */
  readonly bytes: number;
}

/** An index in a folder of them: one that cannot be read is named with why. */
export type ListedIndex =
  | { readonly root: string; readonly summary: IndexSummary }
  | { readonly root: string; readonly fault: string };

/**
 * The indexes in a folder, by name; hidden folders and those that have published nothing are left out.
 * @throws NearvoteError `index_missing` where the folder cannot be read
 */
export async function listIndexes(folder: string): Promise<readonly ListedIndex[]> {
  const entries = await readdir(folder).catch((cause: unknown) => {
    throw new NearvoteError('index_missing', `Expected a folder of indexes but ${folder} cannot be read`, {
      cause,
    });
  });
  const listed: ListedIndex[] = [];
  for (const name of entries.filter((one) => !one.startsWith('.')).sort()) {
    const root = join(folder, name);
    if ((await stat(join(root, currentFile)).catch(() => undefined)) === undefined) continue;
    try {
      listed.push({ root, summary: await summarise(root, await readPublished(root)) });
    } catch (error) {
      if (!(error instanceof NearvoteError)) throw error;
      listed.push({ root, fault: error.message });
    }
  }
  return listed;
}

/**
 * What an index is, without reading its examples.
 * @throws NearvoteError `index_missing`, `index_invalid`
 */
export async function describeIndex(root: string): Promise<IndexDescription> {
  const published = await readPublished(root);
  const { manifest } = published;
  return {
    ...(await summarise(root, published)),
    search: manifest.files['vectors.hnsw'] === undefined ? 'exact' : 'hnsw',
    dataset: manifest.dataset,
    ...(await describeKept(root)),
  };
}

/**
 * What lies in the folder of an index; its journal is not read.
 * @throws NearvoteError `index_missing`
 */
export async function describeKept(
  root: string,
): Promise<{ readonly versions: KeptVersion[]; readonly bytes: number }> {
  const versions: KeptVersion[] = [];
  for (const one of await keptVersions(root)) {
    const { version, manifest, dir } = one;
    const { createdAt, examples } = manifest;
    versions.push({ version, createdAt, sequence: sequenceOf(one), examples, bytes: await bytesIn(dir) });
  }
  return { versions, bytes: await bytesIn(root) };
}

async function summarise(root: string, published: PublishedVersion): Promise<IndexSummary> {
  const { name, version, manifest } = published;
  const held = sequenceOf(published);
  using journal = await readJournal(root, published);
  const since = journal?.log({ after: held, limit: Number.MAX_SAFE_INTEGER }) ?? [];
  const labels = countLabels(manifest, since);
  return {
    ...{ name, root, version },
    sequence: since[0]?.sequence ?? held,
    changesSince: since.length,
    examples: labels.reduce((sum, { examples }) => sum + examples, 0),
    labels,
    encoder: manifest.encoder,
    dimension: manifest.dimension,
  };
}

/** A version's labels in its order, then new ones as they came; those of which nothing is left are left out. */
function countLabels({ labels }: IndexManifest, newestFirst: readonly Change[]): IndexSummary['labels'] {
  const counts = new Map(labels.map(({ label, examples }) => [label, examples]));
  const count = (label: string | null, by: number): void => {
    if (label !== null) counts.set(label, (counts.get(label) ?? 0) + by);
  };
  for (const { kind, label, was } of newestFirst.toReversed()) {
    if (kind === 'relabel' || kind === 'delete') count(was, -1);
    if (kind !== 'delete') count(label, 1);
  }
  return [...counts].filter(([, examples]) => examples > 0).map(([label, examples]) => ({ label, examples }));
}

/** Of all files in a folder and its folders; what is removed meanwhile takes no room. */
async function bytesIn(folder: string): Promise<number> {
  const entries: Dirent[] = await readdir(folder, { withFileTypes: true, recursive: true }).catch(() => []);
  let bytes = 0;
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    bytes += (await stat(join(entry.parentPath, entry.name)).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}
