import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { syncPath, writeDurably, writing } from '../files/durable.js';
import { lockFolder, type LockFolderOptions } from '../files/lock.js';
import {
  currentFile,
  indexManifestSchema,
  manifestFile,
  openIndex,
  type IndexManifest,
} from './index-store.js';
import { leasedVersions, openLeases } from './lease.js';

/** Beside the one that is served: what may be gone back to, unless told. */
export const versionsKept = 3;

/** Of what is being written: a build removes what a killed process left. */
export const stagingPrefix = '.staging-';

/** A version being written, out of everybody's sight until it is published. */
export interface StagedVersion {
  /** Where its files go. */
  readonly dir: string;
  /**
   * Makes it the version served; old ones past `keep` go, but none that is read. What says the same as the version
   * served is not published, and that version stays with all that was made for it.
   */
  publish(options: PublishOptions): Promise<Published>;
  /** Removes what was staged, unless published, and lets the next build in. */
  close(): Promise<void>;
}

export interface Published {
  /** The version that is served now, and its folder. */
  readonly version: string;
  readonly dir: string;
  /** False where the version served says the same already. */
  readonly changed: boolean;
  /** Old versions that could not be removed. */
  readonly unremoved: readonly string[];
}

interface PublishOptions {
  readonly manifest: IndexManifest;
  /** Versions of other content to keep beside the one served. */
  readonly keep: number;
}

/**
 * Locks `index/<name>` and begins a version in it. Until `publish` renames `current`, in one atomic step, the version
 * served is the old one: kill -9 at any moment leaves it whole. What a killed build staged is removed here.
 * @throws NearvoteError `output_unwritable`
 */
export async function stageVersion(root: string, locking: LockFolderOptions = {}): Promise<StagedVersion> {
  return writing(root, async () => {
    await mkdir(root, { recursive: true });
    const lock = await lockFolder(root, locking);
    try {
      await removeStale(root);
      await openLeases(root);
      const dir = join(root, `${stagingPrefix}${process.pid}-${randomBytes(4).toString('hex')}`);
      await mkdir(dir);
      return {
        dir,
        publish: (options) =>
          writing(root, async () => {
            await lock.assertHeld();
            return publishVersion({ root, staged: dir, ...options });
          }),
        close: async () => {
          await rm(dir, { recursive: true, force: true });
          await lock.release();
        },
      };
    } catch (error) {
      await lock.release();
      throw error;
    }
  });
}

/** `manifest.json` as it is written: the same manifest gives the same bytes. */
export function manifestText(manifest: IndexManifest): string {
  return `${JSON.stringify(indexManifestSchema.parse(manifest), null, 2)}\n`;
}

interface PublishVersionOptions extends PublishOptions {
  readonly root: string;
  readonly staged: string;
}

async function publishVersion(options: PublishVersionOptions): Promise<Published> {
  const { root, staged, keep } = options;
  const manifest = indexManifestSchema.parse(options.manifest);
  const served = await sameAsServed(root, manifest);
  if (served !== undefined) return served;
  await writeDurably(join(staged, manifestFile), manifestText(manifest));
  for (const file of await readdir(staged)) await syncPath(join(staged, file));
  await syncPath(staged);
  const version = versionName(manifest);
  const dir = join(root, version);
  await rename(staged, dir);
  await syncPath(root);
  await serveVersion(root, version);
  return {
    version,
    dir,
    changed: true,
    unremoved: await removeOldVersions({ root, current: version, keep }),
  };
}

/** Makes a version that is there the one that is served, in one rename; whoever does holds the lock of a build. */
async function serveVersion(root: string, version: string): Promise<void> {
  const next = join(root, `${stagingPrefix}current-${randomBytes(4).toString('hex')}`);
  await writeDurably(next, `${version}\n`);
  await rename(next, join(root, currentFile));
  await syncPath(root);
}

/**
 * Serves a version that is kept again, after one that could not be opened.
 * @throws NearvoteError `output_unwritable`
 */
export function serveAgain(root: string, version: string): Promise<void> {
  return writing(root, async () => {
    const lock = await lockFolder(root);
    try {
      await serveVersion(root, version);
    } finally {
      await lock.release();
    }
  });
}

/** The version served, where it is whole and a new one would say the same. */
async function sameAsServed(root: string, manifest: IndexManifest): Promise<Published | undefined> {
  const served = await openIndex(root).catch(() => undefined);
  if (served === undefined || meaningOf(served.manifest) !== meaningOf(manifest)) return undefined;
  // An older build did not count what the encoder was trained on.
  if (served.manifest.trainedOn === undefined && manifest.trainedOn !== undefined) return undefined;
  return { version: served.version, dir: join(root, served.version), changed: false, unremoved: [] };
}

/** All of a manifest that decides an answer: not when it was made and of what, what was measured or what was rejected. */
function meaningOf(manifest: IndexManifest): string {
  const files = { ...manifest.files, 'rejects.jsonl': undefined };
  const told = { dataset: undefined, trainedOn: undefined, createdAt: undefined, recall: undefined };
  return JSON.stringify({ ...manifest, ...told, files });
}

/** The time, so that names sort by age, and a hash of the content. */
export function versionName({ createdAt, files, encoder }: IndexManifest): string {
  // Where the encoder lies is no part of the content.
  const content = { files, encoder: { ...encoder, path: undefined } };
  const hash = createHash('sha256').update(JSON.stringify(content)).digest('hex');
  return `${createdAt.replace(/[-:.]/g, '')}-${hash.slice(0, 8)}`;
}

const versionPattern = /^\d{8}T\d{9}Z-([0-9a-f]{8})$/;

interface RemoveOptions {
  readonly root: string;
  readonly current: string;
  readonly keep: number;
}

/**
 * Keeps the newest of each content, and whatever somebody reads.
 * @returns what could not be removed: the new version is served all the same
 */
async function removeOldVersions(options: RemoveOptions): Promise<readonly string[]> {
  const { root, current, keep } = options;
  const leased = await leasedVersions(root);
  const contentOf = (version: string): string => versionPattern.exec(version)?.[1] ?? version;
  const kept = new Set([contentOf(current)]);
  const versions = (await readdir(root)).filter((name) => versionPattern.test(name) && name !== current);
  const unremoved: string[] = [];
  for (const version of versions.sort().reverse()) {
    const content = contentOf(version);
    if (!kept.has(content) && kept.size <= keep) kept.add(content);
    else if (!leased.has(version)) {
      await removeVersion(root, version).catch(() => unremoved.push(version));
    }
  }
  return unremoved;
}

/** Who leases it from now on finds that it is gone; who has leased it meanwhile gets it back. */
async function removeVersion(root: string, version: string): Promise<void> {
  const dir = join(root, version);
  const aside = join(root, `${stagingPrefix}old-${version}`);
  await rename(dir, aside);
  if ((await leasedVersions(root)).has(version)) await rename(aside, dir);
  else await rm(aside, { recursive: true, force: true });
}

/** The lock is held, so whatever is staged here belongs to nobody. */
async function removeStale(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (name.startsWith(stagingPrefix)) await rm(join(root, name), { recursive: true, force: true });
  }
}
