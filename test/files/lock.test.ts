import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { lockFolder } from '../../src/files/lock.js';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'nearvote-lock-'));
});
afterEach(() => rm(root, { recursive: true }));

const secondsAgo = (seconds: number): Date => new Date(Date.now() - seconds * 1000);

/** As a process left it that is not this one. */
async function leaveLock(holder: unknown, touched: Date): Promise<void> {
  await mkdir(join(root, '.lock'));
  await writeFile(join(root, '.lock-holder'), typeof holder === 'string' ? holder : JSON.stringify(holder));
  await utimes(join(root, '.lock'), touched, touched);
}

/** The process that holds it, where its name is there and whole. */
function holderNow(): unknown {
  try {
    return (JSON.parse(readFileSync(join(root, '.lock-holder'), 'utf8')) as { pid: unknown }).pid;
  } catch {
    return undefined;
  }
}

const elsewhere = { token: 'x', pid: 1, host: 'another-machine', startedAt: null };
/** The highest pid Linux gives is 4,194,304. */
const dead = { token: 'x', pid: 2_147_483_646, host: hostname(), startedAt: '1' };
const holder = fileURLToPath(new URL('./lock-holder.mjs', import.meta.url));
const refused = (who: string) => ({
  code: 'output_unwritable',
  message: expect.stringContaining(`${who} holds its lock`) as string,
});

describe('the lock of a folder', () => {
  it('is held by one at a time, named to whoever is refused, and gone when it is released', async () => {
    const lock = await lockFolder(root);
    await expect(lockFolder(root)).rejects.toMatchObject(refused(`process ${process.pid} on ${hostname()}`));
    await lock.assertHeld();
    await lock.release();
    expect(await readdir(root)).toEqual([]);
    await (await lockFolder(root)).release();
  });

  it('is respected on another machine while its heartbeat goes on, and taken over when that stopped', async () => {
    await leaveLock(elsewhere, secondsAgo(29));
    await expect(lockFolder(root)).rejects.toMatchObject(refused('process 1 on another-machine'));
    await utimes(join(root, '.lock'), secondsAgo(31), secondsAgo(31));
    await (await lockFolder(root)).release();
    expect(await readdir(root)).toEqual([]);
  });

  it('is free where a wrong clock has touched it further ahead than it may be late', async () => {
    await leaveLock(elsewhere, secondsAgo(-25));
    await expect(lockFolder(root)).rejects.toMatchObject(refused('process 1 on another-machine'));
    await utimes(join(root, '.lock'), secondsAgo(-35), secondsAgo(-35));
    await mkdir(join(root, '.lock-takeover'));
    await utimes(join(root, '.lock-takeover'), secondsAgo(-35), secondsAgo(-35));
    await (await lockFolder(root)).release();
    expect(await readdir(root)).toEqual([]);
  });

  it('is respected where its holder wrote no name', async () => {
    await leaveLock('{"tok', secondsAgo(1));
    await expect(lockFolder(root)).rejects.toMatchObject(refused('a process that is not known'));
    await expect(lockFolder(root, { staleMs: 2000 })).rejects.toMatchObject({ code: 'output_unwritable' });
    await utimes(join(root, '.lock'), secondsAgo(3), secondsAgo(3));
    await (await lockFolder(root, { staleMs: 2000 })).release();
  });

  it.skipIf(process.platform !== 'linux')('is not held where the disk had no room for its name', async () => {
    await symlink('/dev/full', join(root, '.lock-holder'));
    await expect(lockFolder(root)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(await readdir(root)).toEqual([]);
    await (await lockFolder(root)).release();
  });

  it('is free at once when its process was killed', async () => {
    const signal = await new Promise((resolve) => {
      const run = execFile(process.execPath, [holder, root], () => resolve(run.signalCode));
    });
    expect(signal).toBe('SIGKILL');
    expect((await readdir(root)).sort()).toEqual(['.lock', '.lock-holder']);
    await (await lockFolder(root)).release();
  });

  it('is free when another process has the number of the one that held it', async () => {
    const before = { token: 'x', pid: process.pid, host: hostname(), startedAt: 'before the last boot' };
    await leaveLock(before, secondsAgo(0));
    await (await lockFolder(root)).release();
  });

  it('lets no more than one of many in that find the lock of a dead process', async () => {
    await leaveLock(dead, secondsAgo(0));
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(root)));
    const inside = all.filter((one) => one.status === 'fulfilled');
    expect(inside).toHaveLength(1);
    for (const one of inside) await one.value.release();
  });

  it('is not taken from whoever took it over while another was held up on the way to do the same', async () => {
    await leaveLock(dead, secondsAgo(0));
    const kill = process.kill.bind(process);
    const rivals: ChildProcess[] = [];
    // Asked whether the process lives, this one is held up until another has the lock.
    vi.spyOn(process, 'kill').mockImplementation((pid, signal) => {
      if (rivals.length === 0) {
        const rival = spawn(process.execPath, [holder, root, 'hold'], {
          stdio: ['pipe', 'ignore', 'inherit'],
        });
        rivals.push(rival);
        const clock = new Int32Array(new SharedArrayBuffer(4));
        // No timeout of the test's could end this.
        const latest = Date.now() + 60_000;
        while (holderNow() !== rival.pid && Date.now() < latest) Atomics.wait(clock, 0, 0, 5);
      }
      return kill(pid, signal);
    });
    const refusal: unknown = await lockFolder(root).catch((error: unknown) => error);
    vi.restoreAllMocks();
    const [rival] = rivals;
    expect(refusal).toMatchObject(refused(`process ${rival?.pid} on ${hostname()}`));
    const ended = rival === undefined ? undefined : once(rival, 'exit');
    rival?.stdin?.end();
    // It held the lock to the end.
    expect(await ended).toEqual([0, null]);
    expect(await readdir(root)).toEqual([]);
  });

  it('is never there beside the name of a dead process that an interrupted one left', async () => {
    // proper-lockfile takes the lock away when a signal ends its process, and knows nothing of the name beside it.
    await writeFile(join(root, '.lock-holder'), JSON.stringify(dead));
    const { default: lockfile } = await import('proper-lockfile');
    const lock = lockfile.lock.bind(lockfile);
    let named: unknown;
    vi.spyOn(lockfile, 'lock').mockImplementation(async (...args) => {
      const unlock = await lock(...args);
      named = holderNow();
      return unlock;
    });
    const held = await lockFolder(root);
    vi.restoreAllMocks();
    expect(named).toBeUndefined();
    await held.release();
    expect(await readdir(root)).toEqual([]);
  });

  it('is held although somebody removed the mark of taking it over', async () => {
    await leaveLock(dead, secondsAgo(0));
    const kill = process.kill.bind(process);
    vi.spyOn(process, 'kill').mockImplementation((pid, signal) => {
      rmSync(join(root, '.lock-takeover'), { recursive: true, force: true });
      return kill(pid, signal);
    });
    const lock = await lockFolder(root).finally(() => vi.restoreAllMocks());
    await lock.assertHeld();
    await lock.release();
    expect(await readdir(root)).toEqual([]);
  });

  it('is taken over all the same when a process was killed as it took it over', async () => {
    await leaveLock(dead, secondsAgo(0));
    await mkdir(join(root, '.lock-takeover'));
    await expect(lockFolder(root)).rejects.toMatchObject({ code: 'output_unwritable' });
    await utimes(join(root, '.lock-takeover'), secondsAgo(31), secondsAgo(31));
    await (await lockFolder(root)).release();
    expect(await readdir(root)).toEqual([]);
  });

  it('is lost to its holder when somebody took it away or its heartbeat could not go on', async () => {
    const lock = await lockFolder(root);
    await rm(join(root, '.lock'), { recursive: true });
    await expect(lock.assertHeld()).rejects.toMatchObject({ code: 'output_unwritable' });
    const next = await lockFolder(root);
    await lock.release();
    await next.assertHeld();
    await next.release();
  });
});
