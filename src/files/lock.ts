import { randomBytes } from 'node:crypto';
import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
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

/** The lock itself is an empty folder: the one thing that every file system makes for only one of many. */
const lockName = '.lock';
/** Who holds it, for the error of whoever is refused. */
const holderName = '.lock-holder';

export interface FolderLock {
  /** @throws NearvoteError `output_unwritable` when the lock was lost */
  assertHeld(): Promise<void>;
  release(): Promise<void>;
}

export interface LockFolderOptions {
  /** After this time without a heartbeat a lock is nobody's. At least 2 s. */
  readonly staleMs?: number | undefined;
  /** Between heartbeats. */
  readonly updateMs?: number | undefined;
}

// Several heartbeats may be late: an index may be on a slow network file system.
const defaultStaleMs = 30_000;
const defaultUpdateMs = 10_000;
/** Longer than it takes to write the holder's file. */
const settleMs = 100;

/**
 * Takes the lock of a folder, so that two builds do not interleave. Its holder touches it every 10 seconds; one that
 * was left behind is taken over at once where its process is seen to be dead, and after 30 seconds where it was on
 * another machine.
 * @throws NearvoteError `output_unwritable` when another process holds it
 */
export async function lockFolder(root: string, options: LockFolderOptions = {}): Promise<FolderLock> {
  const { staleMs = defaultStaleMs, updateMs = defaultUpdateMs } = options;
  // Loaded when first needed: it listens for signals from then on, which a server that only reads does without.
  const { default: lockfile } = await import('proper-lockfile');
  const path = join(root, lockName);
  const holderFile = join(root, holderName);
  const own: Holder = {
    token: randomBytes(8).toString('hex'),
    pid: process.pid,
    host: hostname(),
    startedAt: await startOf(process.pid),
  };
  let lost = false;

  const left = await stat(path).catch(() => undefined);
  const before = await readHolder(holderFile);
  if (left !== undefined && before !== undefined && (await isDead(before))) await utimes(path, 0, 0);
  const unlock = await lockfile
    .lock(root, {
      lockfilePath: path,
      realpath: false,
      stale: staleMs,
      update: updateMs,
      onCompromised: () => (lost = true),
    })
    .catch(async (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'ELOCKED') throw error;
      throw await refusal(root, staleMs);
    });
  await writeFile(holderFile, JSON.stringify(own));
  // Two that take over the same dead lock may both believe they have it: the one whose name stays is the holder.
  if (left !== undefined) await sleep(settleMs);

  const held = async (): Promise<boolean> => !lost && (await readHolder(holderFile))?.token === own.token;
  const assertHeld = async (): Promise<void> => {
    if ((await held()) && (await stat(path).catch(() => undefined)) !== undefined) return;
    throw new NearvoteError('output_unwritable', `Expected to hold the lock ${path} but it was taken away`);
  };
  const release = async (): Promise<void> => {
    if (!(await held())) return;
    await rm(holderFile, { force: true });
    await unlock().catch(() => undefined);
  };
  await assertHeld();
  return { assertHeld, release };
}

async function refusal(root: string, staleMs: number): Promise<NearvoteError> {
  const holder = await readHolder(join(root, holderName));
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
