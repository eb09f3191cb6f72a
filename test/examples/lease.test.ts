import { chmod, mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leasedVersions, leaseVersion } from '../../src/examples/lease.js';
import { stageVersion } from '../../src/examples/publish.js';
import { asNobody } from './as-nobody.js';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'nearvote-lease-'));
  await mkdir(join(root, 'v1'));
});
afterEach(() => rm(root, { recursive: true }));

describe('a lease of a version', () => {
  it('lasts until the last of its readers has released it, and leaves nothing', async () => {
    const [first, second] = [await leaseVersion(root, 'v1'), await leaseVersion(root, 'v1')];
    await first.release();
    expect([...(await leasedVersions(root))]).toEqual(['v1']);
    await second.release();
    expect([...(await leasedVersions(root))]).toEqual([]);
    expect(await readdir(join(root, '.leases'))).toEqual([]);
  });

  it('ends a minute after the last heartbeat of its reader', async () => {
    const lease = await leaseVersion(root, 'v1');
    const dir = join(root, '.leases');
    const [name = ''] = await readdir(dir);
    const beat = new Date(Date.now() - 59_000);
    await utimes(join(dir, name), beat, beat);
    expect([...(await leasedVersions(root))]).toEqual(['v1']);
    expect([...(await leasedVersions(root, Date.now() + 2_000))]).toEqual([]);
    await lease.release();
  });

  it('is taken again by a reader that was taken for dead', async () => {
    const lease = await leaseVersion(root, 'v1', { heartbeatMs: 10 });
    // As a build does that begins while the reader is suspended.
    await leasedVersions(root, Date.now() + 120_000);
    await expect.poll(async () => [...(await leasedVersions(root))], { interval: 10 }).toEqual(['v1']);
    await lease.release();
    expect(await readdir(join(root, '.leases'))).toEqual([]);
  });

  it('is not given on a version that was removed', async () => {
    await expect(leaseVersion(root, 'v2')).rejects.toMatchObject({ code: 'index_missing' });
    expect(await readdir(join(root, '.leases'))).toEqual([]);
  });

  it('says once that nothing can be written, protects from when it can, and can be released at any time', async () => {
    const told: string[] = [];
    const onUnprotected = (reason: string): number => told.push(reason);
    await chmod(root, process.getuid?.() === 0 ? 0o755 : 0o555);
    const lease = await asNobody(async () => {
      return leaseVersion(root, 'v1', { onUnprotected, heartbeatMs: 10 });
    });
    expect(told).toEqual([
      `Expected to write ${join(root, '.leases')} but received EACCES: a build may remove version v1`,
    ]);
    await chmod(root, 0o755);
    await expect.poll(async () => [...(await leasedVersions(root))], { interval: 10 }).toEqual(['v1']);
    expect(told).toHaveLength(1);
    // A file in place of the folder: neither the heartbeat nor the release can do anything.
    const replace = async (): Promise<boolean> => {
      await rm(join(root, '.leases'), { recursive: true });
      // A heartbeat in between makes the folder again.
      return writeFile(join(root, '.leases'), '').then(
        () => true,
        () => false,
      );
    };
    while (!(await replace()));
    await expect.poll(() => told.length, { interval: 10 }).toBe(2);
    await lease.release();
  });

  it('can be had by another user than the one who builds', async () => {
    await (await stageVersion(root)).close();
    await chmod(root, 0o755);
    const told: string[] = [];
    const lease = await asNobody(() => leaseVersion(root, 'v1', { onUnprotected: (why) => told.push(why) }));
    expect(told).toEqual([]);
    expect([...(await leasedVersions(root))]).toEqual(['v1']);
    await lease.release();
  });
});
