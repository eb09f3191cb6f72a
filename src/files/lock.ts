import { randomBytes } from 'node:crypto';
import { link, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { NearvoteError } from '../domain/errors.js';

const holderSchema = z.object({
  token: z.string(),
  pid: z.int(),
  host: z.string(),
  /** When the process began, where the system tells: a pid is used again after a restart. */
  startedAt: z.string().nullable(),
});

type Holder = z.infer<typeof holderSchema>;

/** Of the file that becomes a lock. */
export const claimPrefix = '.claim-';
const lockPrefix = '.lock-';
const lockPattern = /^\.lock-\d+$/;

export interface IndexLock {
  /** @throws NearvoteError `output_unwritable` when the lock was lost */
  assertHeld(): Promise<void>;
  release(): Promise<void>;
}

/**
 * Takes the lock of an index folder, so that two builds do not interleave. Locks are numbered files: the dead one of a
 * killed build is not removed to make room, which two could do at once, but followed by the next number, which the
 * file system gives to only one; then whoever sees another's living lock beside its own steps back.
 * @throws NearvoteError `output_unwritable` when another build holds it
 */
export async function lockIndex(root: string): Promise<IndexLock> {
  const own: Holder = {
    token: randomBytes(8).toString('hex'),
    pid: process.pid,
    host: hostname(),
    startedAt: await startOf(process.pid),
  };
  // Linked into place once written, so that no kill leaves an empty lock.
  const claim = join(root, `${claimPrefix}${own.token}`);
  await writeFile(claim, JSON.stringify(own));
  try {
    return await claimLock({ root, claim, own });
  } finally {
    await rm(claim, { force: true });
  }
}

interface ClaimOptions {
  readonly root: string;
  readonly claim: string;
  readonly own: Holder;
}

const attempts = 20;

async function claimLock({ root, claim, own }: ClaimOptions): Promise<IndexLock> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const before = await locksOf(root);
    for (const lock of before) await refuseLiving(root, lock);
    const path = join(root, `${lockPrefix}${Math.max(0, ...before.map(({ number }) => number)) + 1}`);
    try {
      await link(claim, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw error;
    }
    const others = (await locksOf(root)).filter((lock) => lock.path !== path);
    if ((await Promise.all(others.map(isAlive))).includes(true)) {
      await rm(path, { force: true });
      continue;
    }
    for (const dead of others) await rm(dead.path, { force: true });
    return heldLock(path, own);
  }
  throw new NearvoteError('output_unwritable', `Expected to lock ${root} but others keep taking its lock`);
}

function heldLock(path: string, own: Holder): IndexLock {
  const held = async (): Promise<boolean> => (await readHolder(path))?.token === own.token;
  return {
    assertHeld: async () => {
      if (await held()) return;
      throw new NearvoteError('output_unwritable', `Expected to hold the lock ${path} but it was taken away`);
    },
    release: async () => {
      if (await held()) await rm(path, { force: true });
    },
  };
}

interface LockFile {
  readonly number: number;
  readonly path: string;
  /** Undefined when it was removed meanwhile, or is no lock. */
  readonly holder: Holder | undefined;
}

async function locksOf(root: string): Promise<LockFile[]> {
  const names = (await readdir(root)).filter((name) => lockPattern.test(name));
  return Promise.all(
    names.map(async (name) => {
      const path = join(root, name);
      return { number: Number(name.slice(lockPrefix.length)), path, holder: await readHolder(path) };
    }),
  );
}

async function refuseLiving(root: string, lock: LockFile): Promise<void> {
  if (lock.holder === undefined || !(await isAlive(lock))) return;
  const { pid, host } = lock.holder;
  throw new NearvoteError(
    'output_unwritable',
    `Expected no other build of ${root} but process ${pid} on ${host} is building it; if it is not, delete ${lock.path}`,
  );
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

async function isAlive({ holder }: LockFile): Promise<boolean> {
  if (holder === undefined) return false;
  const { pid, host, startedAt } = holder;
  // Nothing here can tell about another machine's processes.
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
  return startedAt === null || startedAt === (await startOf(pid));
}

/** Field 22 of /proc/PID/stat, in clock ticks since boot; null where there is no /proc. */
async function startOf(pid: number): Promise<string | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The command, field 2, stands in parentheses and may hold spaces.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
