import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { NearvoteError, systemCodeOf } from '../domain/errors.js';
import { readPublished, readVersion, type OpenIndex } from './index-store.js';

/** Of an index: a file in it for each reader of a version. */
const leasesFolder = '.leases';
/** Between the version and its reader in a file's name; no version has one. */
const separator = '~';

const defaultHeartbeatMs = 10_000;
/** Six heartbeats missed: its reader is dead. */
const staleMs = 60_000;

export interface Lease extends AsyncDisposable {
  /** Never rejects: a lease that cannot be removed is stale within a minute. */
  release(): Promise<void>;
}

export interface LeaseOptions {
  /** Told once why a build may remove the version, each time that this begins. */
  readonly onUnprotected?: ((reason: string) => void) | undefined;
  /** Ten seconds unless told. */
  readonly heartbeatMs?: number | undefined;
}

/**
 * Says that a version is being read, so that no build removes it. A lease that cannot be had, or was lost while this
 * process was suspended, is tried for again at every heartbeat.
 * @throws NearvoteError `index_missing` when the version was removed before it was leased: read `current` again
 */
export async function leaseVersion(
  root: string,
  version: string,
  { onUnprotected, heartbeatMs = defaultHeartbeatMs }: LeaseOptions = {},
): Promise<Lease> {
  const reader = `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`;
  const file = join(root, leasesFolder, `${version}${separator}${reader}`);
  let unprotected = false;

  async function beat(): Promise<void> {
    const failure = await touch(file);
    if (failure !== undefined && !unprotected) {
      onUnprotected?.(
        `Expected to write ${dirname(file)} but received ${failure}: a build may remove version ${version}`,
      );
    }
    unprotected = failure !== undefined;
  }

  let last = beat();
  await last;
  const timer = setInterval(() => {
    last = last.then(beat);
  }, heartbeatMs);
  timer.unref();
  const release = async (): Promise<void> => {
    clearInterval(timer);
    await last;
    await rm(file, { force: true }).catch(() => undefined);
  };
  if (await exists(join(root, version))) return { release, [Symbol.asyncDispose]: release };
  await release();
  throw new NearvoteError('index_missing', `Expected version ${version} of index ${root} but it was removed`);
}

/** @returns the system's code where it cannot be written */
async function touch(file: string): Promise<string | undefined> {
  const now = new Date();
  try {
    await utimes(file, now, now).catch(async (error: unknown) => {
      if (systemCodeOf(error) !== 'ENOENT') throw error;
      await mkdir(dirname(file), { recursive: true });
      await writeFile(file, '');
    });
    return undefined;
  } catch (error) {
    return systemCodeOf(error);
  }
}

/** Lets every user of this machine lease versions of an index, whoever builds it: as in /tmp, each only its own. */
export async function openLeases(root: string): Promise<void> {
  const dir = join(root, leasesFolder);
  await mkdir(dir, { recursive: true });
  // Another user's folder is as that user has it.
  await chmod(dir, 0o1777).catch(() => undefined);
}

/** The versions that somebody reads; what dead readers left is removed. */
export async function leasedVersions(root: string, now: number = Date.now()): Promise<ReadonlySet<string>> {
  const leased = new Set<string>();
  const dir = join(root, leasesFolder);
  for (const name of await readdir(dir).catch(() => [])) {
    const at = name.indexOf(separator);
    const found = at === -1 ? undefined : await stat(join(dir, name)).catch(() => undefined);
    if (found === undefined) continue;
    if (now - found.mtimeMs < staleMs) leased.add(name.slice(0, at));
    else await rm(join(dir, name), { force: true }).catch(() => undefined);
  }
  return leased;
}

/** An index with its examples, whose version stays until this is disposed of. */
export type LeasedIndex = OpenIndex & AsyncDisposable;

const attempts = 3;

/**
 * Opens what `index/<name>` has published, for as long as it is read.
 * @throws NearvoteError as `openIndex`
 */
export async function openLeasedIndex(root: string, options: LeaseOptions = {}): Promise<LeasedIndex> {
  for (let attempt = 1; ; attempt++) {
    try {
      const published = await readPublished(root);
      const lease = await leaseVersion(dirname(published.dir), published.version, options);
      try {
        return {
          ...published,
          examples: await readVersion(published),
          [Symbol.asyncDispose]: () => lease.release(),
        };
      } catch (error) {
        await lease.release();
        throw error;
      }
    } catch (error) {
      // A build may publish, and remove what was published before, between the reading of the two.
      const isGone = error instanceof NearvoteError && error.code === 'index_missing';
      if (!isGone || attempt === attempts) throw error;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}
