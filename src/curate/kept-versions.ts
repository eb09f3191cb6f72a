import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import {
  manifestFile,
  readIndexManifest,
  readPublished,
  type PublishedVersion,
} from '../examples/index-store.js';
import { journalFile } from '../examples/journal-file.js';
import { openJournal, type Journal } from '../examples/journal.js';

/** Older versions beside the one served, and the changes since. */
export interface KeptIndex extends Disposable {
  readonly current: PublishedVersion;
  /** All that are whole enough to say what they are, the oldest first. */
  readonly versions: readonly PublishedVersion[];
  /** Undefined where nothing was ever changed. */
  readonly journal: Journal | undefined;
  /** Of the last change. */
  readonly sequence: number;
}

/**
 * Opens all that is kept of an index, for reading.
 * @throws NearvoteError `index_missing`, `index_invalid`
 */
export async function openKept(root: string): Promise<KeptIndex> {
  const current = await readPublished(root);
  const versions = await keptVersions(root);
  const journal = await readJournal(root, current);
  const close = (): void => journal?.close();
  return {
    ...{ current, versions, journal },
    sequence: journal?.head ?? sequenceOf(current),
    [Symbol.dispose]: close,
  };
}

/** The journal of an index, where one was begun: only then is a database needed. */
export async function readJournal(root: string, published: PublishedVersion): Promise<Journal | undefined> {
  if (!existsSync(join(root, journalFile))) return undefined;
  return openJournal({ root, floor: sequenceOf(published), access: 'read', now: () => new Date() });
}

/** The sequence number up to which a version holds all changes. */
export function sequenceOf({ manifest }: Pick<PublishedVersion, 'manifest'>): number {
  return manifest.sequence ?? 0;
}

/** The oldest first; what is no version, or cannot say what it is, is left out. */
export async function keptVersions(root: string): Promise<readonly PublishedVersion[]> {
  const name = basename(resolve(root));
  const versions: PublishedVersion[] = [];
  for (const version of await versionFolders(root)) {
    const dir = join(resolve(root), version);
    try {
      versions.push({ name, version, dir, manifest: await readIndexManifest(dir) });
    } catch (error) {
      if (!(error instanceof NearvoteError)) throw error;
    }
  }
  return versions.sort((a, b) => (a.manifest.createdAt < b.manifest.createdAt ? -1 : 1));
}

/**
 * The folders of an index that hold a version, by name.
 * @throws NearvoteError `index_missing` where there is no such folder
 */
export async function versionFolders(root: string): Promise<readonly string[]> {
  const entries = await readdir(root, { withFileTypes: true }).catch((cause: unknown) => {
    throw new NearvoteError('index_missing', `Expected an index in ${root} but it cannot be read`, { cause });
  });
  return entries
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.'))
    .map(({ name }) => name)
    .filter((name) => existsSync(join(root, name, manifestFile)))
    .sort();
}
