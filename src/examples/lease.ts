import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, rmdir, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';

/** Of an index: a folder for each version that is read, a file in it for each reader. */
const leasesFolder = '.leases';

const heartbeatMs = 10_000;
/** Six heartbeats missed: its reader is dead. */
const staleMs = 60_000;
const attempts = 5;

export interface Lease {
  release(): Promise<void>;
}

/**
 * Says that a version is being read, so that no build removes it. Where nothing can be written, nothing is removed
 * either, and the lease is none.
 * @throws NearvoteError `index_missing` when the version was removed before it was leased: read `current` again
 */
export async function leaseVersion(root: string, version: string): Promise<Lease> {
  const dir = join(root, leasesFolder, version);
  const file = join(dir, `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`);
  const taken = await take(dir, file);
  const timer = setInterval(() => {
    const now = new Date();
    void utimes(file, now, now).catch(() => undefined);
  }, heartbeatMs);
  timer.unref();
  const release = async (): Promise<void> => {
    clearInterval(timer);
    if (!taken) return;
    await rm(file, { force: true });
    // Only the last reader finds them empty.
    await rmdir(dir)
      .then(() => rmdir(join(root, leasesFolder)))
      .catch(() => undefined);
  };
  if (await exists(join(root, version))) return { release };
  await release();
  throw new NearvoteError('index_missing', `Expected version ${version} of index ${root} but it was removed`);
}

/** Another reader may remove the folder that this one has just made. */
async function take(dir: string, file: string): Promise<boolean> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      await mkdir(dir, { recursive: true });
      await writeFile(file, '');
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return false;
    }
  }
  return false;
}

/** The versions that somebody reads; what dead readers left is removed. */
export async function leasedVersions(root: string, now: number = Date.now()): Promise<ReadonlySet<string>> {
  const leased = new Set<string>();
  for (const version of await list(join(root, leasesFolder))) {
    const dir = join(root, leasesFolder, version);
    for (const name of await list(dir)) {
      const found = await stat(join(dir, name)).catch(() => undefined);
      if (found === undefined) continue;
      if (now - found.mtimeMs < staleMs) leased.add(version);
      else await rm(join(dir, name), { force: true });
    }
    if (!leased.has(version)) await rmdir(dir).catch(() => undefined);
  }
  return leased;
}

async function list(dir: string): Promise<string[]> {
  return readdir(dir).catch(() => []);
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
