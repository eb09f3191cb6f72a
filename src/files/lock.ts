import { randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { mkdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { NearvoteError, systemCodeOf } from '../domain/errors.js';

const holderSchema = z.object({
  token: z.string(),
  pid: z.int(),
  host: z.string(),
  /** When the process began, where the system tells: a pid is used again after a restart. */
  startedAt: z.string().nullable(),
});

type Holder = z.infer<typeof holderSchema>;

/** Where a lock is. */
interface LockPaths {
  readonly root: string;
  /** The lock itself is an empty folder: the one thing that every file system makes for only one of many. */
  readonly lock: string;
  /** Who holds it, for the error of whoever is refused. */
  readonly holder: string;
  /** A folder too, for the moments in which a lock that was left behind is replaced. */
  readonly takeover: string;
}

function pathsOf(root: string, name: string): LockPaths {
  const lock = join(root, name);
  return { root, lock, holder: `${lock}-holder`, takeover: `${lock}-takeover` };
}

export interface FolderLock {
  /** @throws NearvoteError `output_unwritable` when the lock was lost */
  assertHeld(): Promise<void>;
  release(): Promise<void>;
}

export interface LockFolderOptions {
  /** One folder may have several locks; `.lock` unless told. */
  readonly name?: string | undefined;
  /** After this time without a heartbeat a lock is nobody's. At least 2 s. */
  readonly staleMs?: number | undefined;
  /** Between heartbeats. */
  readonly updateMs?: number | undefined;
}

// Several heartbeats may be late: an index may be on a slow network file system.
const defaultStaleMs = 30_000;
const defaultUpdateMs = 10_000;

/**
 * Takes the lock of a folder, so that two builds do not interleave. Its holder touches it every 10 seconds; one that
 * was left behind is taken over at once where its process is seen to be dead, and after 30 seconds where it was on
 * another machine.
 * @throws NearvoteError `output_unwritable` when another process holds it
 */
export async function lockFolder(root: string, options: LockFolderOptions = {}): Promise<FolderLock> {
  const { name = '.lock', staleMs = defaultStaleMs, updateMs = defaultUpdateMs } = options;
  // Loaded when first needed: it listens for signals from then on, which a server that only reads does without.
  const { default: lockfile } = await import('proper-lockfile');
  const paths = pathsOf(root, name);
  const own: Holder = {
    token: randomBytes(8).toString('hex'),
    pid: process.pid,
    host: hostname(),
    startedAt: await startOf(process.pid),
  };
  let lost = false;

  const take = async (): Promise<() => Promise<void>> => {
    const unlock = await lockfile
      .lock(paths.lock, {
        lockfilePath: paths.lock,
        realpath: false,
        stale: staleMs,
        update: updateMs,
        onCompromised: () => (lost = true),
      })
      .catch(async (error: unknown) => {
        throw systemCodeOf(error) === 'ELOCKED' ? await refusal(paths, staleMs) : error;
      });
    try {
      await writeFile(paths.holder, JSON.stringify(own));
      return unlock;
    } catch (error) {
      // On a full disk: a lock without a name would be nobody's until its heartbeat stops.
      await rm(paths.holder, { force: true });
      await unlock().catch(() => undefined);
      throw error;
    }
  };
  const unlock = (await isLeftBehind(paths, staleMs)) ? await takeOver(paths, staleMs, take) : await take();

  const held = async (): Promise<boolean> => !lost && (await readHolder(paths.holder))?.token === own.token;
  const assertHeld = async (): Promise<void> => {
    if ((await held()) && (await stat(paths.lock).catch(() => undefined)) !== undefined) return;
    throw new NearvoteError(
      'output_unwritable',
      `Expected to hold the lock ${paths.lock} but it was taken away`,
    );
  };
  const release = async (): Promise<void> => {
    if (!(await held())) return;
    await rm(paths.holder, { force: true });
    await unlock().catch(() => undefined);
  };
  return { assertHeld, release };
}

/**
 * Whether there is a lock whose process is dead or has given no heartbeat for so long, or the name of a dead process
 * alone, as an interrupted one leaves it: beside the next lock it would make that one look left behind.
 */
async function isLeftBehind({ lock: path, holder: file }: LockPaths, staleMs: number): Promise<boolean> {
  const lock = await stat(path).catch(() => undefined);
  if (lock !== undefined && isStale(lock, staleMs)) return true;
  const holder = await readHolder(file);
  return holder !== undefined && (await isDead(holder));
}

/** A time ahead of the clock by as much was set by a clock that was wrong: it would be fresh until that time comes. */
function isStale({ mtimeMs }: Pick<Stats, 'mtimeMs'>, staleMs: number): boolean {
  return Math.abs(Date.now() - mtimeMs) > staleMs;
}

/**
 * Replaces a lock that was left behind, one process at a time: one that has seen it and was then held up for long would
 * remove the lock of whoever replaced it meanwhile.
 */
async function takeOver<Taken>(
  paths: LockPaths,
  staleMs: number,
  take: () => Promise<Taken>,
): Promise<Taken> {
  const { takeover } = paths;
  const begun = await stat(takeover).catch(() => undefined);
  // It takes moments: whoever began it was killed in the middle.
  if (begun !== undefined && isStale(begun, staleMs)) await removeFolder(takeover);
  await mkdir(takeover).catch(async (error: unknown) => {
    throw systemCodeOf(error) === 'EEXIST' ? await refusal(paths, staleMs) : error;
  });
  try {
    if (await isLeftBehind(paths, staleMs)) {
      await rm(paths.holder, { force: true });
      await removeFolder(paths.lock);
    }
    return await take();
  } finally {
    await removeFolder(takeover);
  }
}

/** An empty one; it may be gone already. */
async function removeFolder(path: string): Promise<void> {
  await rmdir(path).catch((error: unknown) => {
    if (systemCodeOf(error) !== 'ENOENT') throw error;
  });
}

async function refusal({ root, holder: file }: LockPaths, staleMs: number): Promise<NearvoteError> {
  const holder = await readHolder(file);
  const who =
    holder === undefined ? 'a process that is not known' : `process ${holder.pid} on ${holder.host}`;
  return new NearvoteError(
    'output_unwritable',
    `Expected no other process to write in ${root} but ${who} holds its lock; a lock whose process is gone is free ${Math.ceil(staleMs / 1000)} seconds after it`,
  );
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

/** Whether a process of this machine is gone; nothing here can tell about another machine's. */
async function isDead({ pid, host, startedAt }: Holder): Promise<boolean> {
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'EPERM';
  }
  return startedAt !== null && startedAt !== (await startOf(pid));
}

/** Field 22 of /proc/PID/stat, in clock ticks since boot; null where there is no /proc. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The command, field 2, stands in parentheses and may hold spaces.
    return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
