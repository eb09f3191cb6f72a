import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, sep } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { NearvoteError } from '../domain/errors.js';
import { parseJson } from '../examples/index-store.js';
import { leasedVersions, leaseVersion, type Lease } from '../examples/lease.js';
import { digestFile } from '../files/digest.js';
import { syncPath, writeDurably, writing } from '../files/durable.js';
import { lockFolder, type FolderLock } from '../files/lock.js';

/*
 * `bundles/SHA256/` and `encoders/SHA256/` are whole from the moment on in which they are there, by one rename. `fetching/SHA256/`
 * is what is still on its way; whoever holds `locks/SHA256` writes in it, and goes on with what a killed process left. A
 * lease in `.leases` beside them says who serves one, and `served/KEY.json` what each index served last and before.
 */
type Shelf = 'bundles' | 'encoders';

/** Something whole in the cache, which nobody removes until it is released. */
export interface Shelved {
  readonly sha256: string;
  readonly dir: string;
  release(): Promise<void>;
}

export interface BundleCache {
  /**
   * Waits where another process brings it already.
   * @throws NearvoteError `output_unwritable`, and what `make` throws
   */
  bring(
    shelf: Shelf,
    sha256: string,
    how: { readonly make: Make; readonly signal: AbortSignal },
  ): Promise<Shelved>;
  /** What is there and whole. */
  find(shelf: Shelf, sha256: string): Promise<Shelved | undefined>;
  /** What an index served last, and before, by what it is called by. */
  servedBy(key: string): Promise<Served>;
  /** Writes that down, and removes what nobody serves and no index served last or before. */
  remember(key: string, served: Served): Promise<void>;
}

/** Fills the folder `into`; `fetching` may hold what an earlier try left. */
type Make = (places: { readonly into: string; readonly fetching: string }) => Promise<void>;

const servedSchema = z.strictObject({
  /** The last first. */
  bundles: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(2),
  encoders: z.array(z.string().regex(/^[0-9a-f]{64}$/)).max(64),
});
type Served = z.infer<typeof servedSchema>;

const contentFile = 'content.json';
const contentSchema = z.array(
  z.strictObject({ path: z.string(), sha256: z.string(), bytes: z.int().min(0) }),
);

/** Where the operating system has caches of a user's programs. */
export function defaultCacheDir(): string {
  const { XDG_CACHE_HOME: xdg, LOCALAPPDATA: local } = process.env;
  if (process.platform === 'win32' && local !== undefined) return join(local, 'nearvote', 'cache');
  if (process.platform === 'darwin') return join(homedir(), 'Library', 'Caches', 'nearvote');
  return join(xdg === undefined || xdg === '' ? join(homedir(), '.cache') : xdg, 'nearvote');
}

/** What a killed process left of a download is gone on with for a day. */
const leftoverMs = 86_400_000;

/** Nothing is written before something is brought. */
export function openCache(root: string): BundleCache {
  const placeOf = (shelf: Shelf, sha256: string): string => join(root, shelf, sha256);

  async function find(shelf: Shelf, sha256: string): Promise<Shelved | undefined> {
    const dir = placeOf(shelf, sha256);
    if ((await stat(dir).catch(() => undefined)) === undefined) return undefined;
    const lease = await leaseVersion(join(root, shelf), sha256).catch(() => undefined);
    if (lease === undefined) return undefined;
    if (await isWhole(dir)) return { sha256, dir, release: () => lease.release() };
    await lease.release();
    return undefined;
  }

  const fetchIt: BundleCache['bring'] = async (shelf, sha256, { make, signal }) => {
    const fetching = join(root, 'fetching', sha256);
    const lock = await lockOf(root, { sha256, signal });
    try {
      // Another process may have brought it until the lock was ours.
      const there = await find(shelf, sha256);
      if (there !== undefined) return there;
      const into = join(fetching, 'whole');
      await rm(into, { recursive: true, force: true });
      await mkdir(into, { recursive: true });
      await make({ into, fetching });
      await writeDurably(join(into, contentFile), JSON.stringify(await contentOf(into)));
      await syncPath(into);
      await lock.assertHeld();
      await mkdir(join(root, shelf), { recursive: true });
      const dir = placeOf(shelf, sha256);
      // Only what is damaged is still there.
      await rm(dir, { recursive: true, force: true });
      await rename(into, dir);
      await syncPath(join(root, shelf));
      await rm(fetching, { recursive: true, force: true });
      const lease: Lease = await leaseVersion(join(root, shelf), sha256);
      return { sha256, dir, release: () => lease.release() };
    } catch (error) {
      // What was fetched so far is kept for the next try; nothing else can be gone on with.
      const keeps = error instanceof NearvoteError && error.code === 'bundle_unreachable';
      await rm(keeps ? join(fetching, 'whole') : fetching, { recursive: true, force: true }).catch(
        () => undefined,
      );
      throw error;
    } finally {
      await lock.release();
    }
  };

  async function prune(): Promise<void> {
    const keys = await readdir(join(root, 'served'));
    const served = await Promise.all(keys.map((name) => servedBy(name.replace(/\.json$/, ''))));
    for (const shelf of ['bundles', 'encoders'] as const) {
      const kept = new Set(served.flatMap((one) => one[shelf]));
      for (const name of await readdir(join(root, shelf)).catch(() => [])) {
        if (/^[0-9a-f]{64}$/.test(name) && !kept.has(name)) await removeUnleased(shelf, name);
        else if (name.startsWith('.old-'))
          await rm(join(root, shelf, name), { recursive: true, force: true });
      }
    }
    for (const name of await readdir(join(root, 'fetching')).catch(() => [])) {
      const left = join(root, 'fetching', name);
      const found = await stat(left).catch(() => undefined);
      if (found === undefined || Date.now() - found.mtimeMs < leftoverMs) continue;
      const lock = await lockFolder(join(root, 'locks'), { name }).catch(() => undefined);
      if (lock === undefined) continue;
      await rm(left, { recursive: true, force: true });
      await lock.release();
    }
  }

  /** Who leases it from now on finds that it is gone; who has leased it meanwhile gets it back. */
  async function removeUnleased(shelf: Shelf, sha256: string): Promise<void> {
    const folder = join(root, shelf);
    if ((await leasedVersions(folder)).has(sha256)) return;
    const aside = join(folder, `.old-${sha256}`);
    await rename(placeOf(shelf, sha256), aside);
    if ((await leasedVersions(folder)).has(sha256)) await rename(aside, placeOf(shelf, sha256));
    else await rm(aside, { recursive: true, force: true });
  }

  async function servedBy(key: string): Promise<Served> {
    const text = await readFile(join(root, 'served', `${key}.json`), 'utf8').catch(() => '');
    return servedSchema.safeParse(parseJson(text)).data ?? { bundles: [], encoders: [] };
  }

  return {
    find,
    bring: async (shelf, sha256, how) =>
      (await find(shelf, sha256)) ?? (await writing(root, () => fetchIt(shelf, sha256, how))),
    servedBy,
    remember: async (key, served) => {
      if (JSON.stringify(await servedBy(key)) === JSON.stringify(served)) return;
      await writing(root, async () => {
        await mkdir(join(root, 'served'), { recursive: true });
        const draft = join(root, 'served', `.${key}-${process.pid}`);
        await writeDurably(draft, JSON.stringify(served));
        await rename(draft, join(root, 'served', `${key}.json`));
        await prune();
      });
    },
  };
}

/** Two servers that want one bundle are one download: the second waits, and finds it there. */
async function lockOf(
  root: string,
  { sha256, signal }: { readonly sha256: string; readonly signal: AbortSignal },
): Promise<FolderLock> {
  const locks = join(root, 'locks');
  await mkdir(locks, { recursive: true });
  for (;;) {
    try {
      return await lockFolder(locks, { name: sha256 });
    } catch (error) {
      if (!(error instanceof NearvoteError) || error.code !== 'output_unwritable') throw error;
      await pause(100, undefined, { signal });
    }
  }
}

/** Every file of a folder but the leases, which others write. */
async function contentOf(dir: string): Promise<z.infer<typeof contentSchema>> {
  const content: z.infer<typeof contentSchema> = [];
  for (const name of await readdir(dir, { recursive: true })) {
    const path = name.split(sep).join('/');
    if (path.includes('.leases/') || !(await stat(join(dir, name))).isFile()) continue;
    content.push({ path, ...(await digestFile(join(dir, path))) });
  }
  return content;
}

/** What lay on a disk for weeks, in a folder of others, may be something else now. */
async function isWhole(dir: string): Promise<boolean> {
  const text = await readFile(join(dir, contentFile), 'utf8').catch(() => '');
  const listed = contentSchema.safeParse(parseJson(text)).data;
  if (listed === undefined) return false;
  for (const { path, sha256, bytes } of listed) {
    const found = await digestFile(join(dir, path)).catch(() => undefined);
    if (found?.sha256 !== sha256 || found.bytes !== bytes) return false;
  }
  return true;
}
