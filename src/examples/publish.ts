import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { syncPath, writeDurably, writing } from '../files/durable.js';
import { claimPrefix, lockIndex } from '../files/lock.js';
import { indexManifestSchema, manifestFile, type IndexManifest } from './index-store.js';
import { currentFile } from './index-store.js';

/** Of what is being written: a build removes what a killed process left. */
export const stagingPrefix = '.staging-';

/** A version being written, out of everybody's sight until it is published. */
export interface StagedVersion {
  /** Where its files go. */
  readonly dir: string;
  /** Makes it the version served; old ones past `keep` go. @returns its name and folder */
  publish(options: PublishOptions): Promise<{ version: string; dir: string }>;
  /** Removes what was staged, unless published, and lets the next build in. */
  close(): Promise<void>;
}

interface PublishOptions {
  readonly manifest: IndexManifest;
  /** Versions to keep beside the one served. */
  readonly keep: number;
}

/**
 * Locks `index/<name>` and begins a version in it. Until `publish` renames `current`, in one atomic step, the version
 * served is the old one: kill -9 at any moment leaves it whole. What a killed build staged is removed here.
 * @throws NearvoteError `output_unwritable`
 */
export async function stageVersion(root: string): Promise<StagedVersion> {
  return writing(root, async () => {
    await mkdir(root, { recursive: true });
    const lock = await lockIndex(root);
    try {
      await removeStale(root);
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

interface PublishVersionOptions extends PublishOptions {
  readonly root: string;
  readonly staged: string;
}

async function publishVersion(options: PublishVersionOptions): Promise<{ version: string; dir: string }> {
  const { root, staged, keep } = options;
  const manifest = indexManifestSchema.parse(options.manifest);
  await writeDurably(join(staged, manifestFile), `${JSON.stringify(manifest, null, 2)}\n`);
  for (const file of await readdir(staged)) await syncPath(join(staged, file));
  await syncPath(staged);
  const version = versionName(manifest);
  const dir = join(root, version);
  await rename(staged, dir);
  await syncPath(root);
  const next = join(root, `${stagingPrefix}current-${randomBytes(4).toString('hex')}`);
  await writeDurably(next, `${version}\n`);
  await rename(next, join(root, currentFile));
  await syncPath(root);
  await removeOldVersions({ root, current: version, keep });
  return { version, dir };
}

/** The time, so that names sort by age, and a hash of the content. */
function versionName({ createdAt, files, encoder }: IndexManifest): string {
  const hash = createHash('sha256').update(JSON.stringify({ files, encoder })).digest('hex');
  return `${createdAt.replace(/[-:.]/g, '')}-${hash.slice(0, 8)}`;
}

const versionPattern = /^\d{8}T\d{9}Z-[0-9a-f]{8}$/;

async function removeOldVersions(options: { root: string; current: string; keep: number }): Promise<void> {
  const { root, current, keep } = options;
  const versions = (await readdir(root)).filter((name) => versionPattern.test(name) && name !== current);
  const old = versions.sort().slice(0, Math.max(versions.length - keep, 0));
  for (const version of old) await rm(join(root, version), { recursive: true, force: true });
}

/** The lock is held, so whatever is staged here belongs to nobody; a claim may be another's that is being refused. */
async function removeStale(root: string): Promise<void> {
  for (const name of await readdir(root)) {
    const path = join(root, name);
    const stale =
      name.startsWith(stagingPrefix) || (name.startsWith(claimPrefix) && (await ageMsOf(path)) > claimLifeMs);
    if (stale) await rm(path, { recursive: true, force: true });
  }
}

/** A claim lives for milliseconds unless its process was killed. */
const claimLifeMs = 60_000;

async function ageMsOf(path: string): Promise<number> {
  return Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now());
}
