import { chmod, mkdir, mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leasedVersions, leaseVersion } from '../../src/examples/lease.js';

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
    expect(await readdir(root)).toEqual(['v1']);
  });

  it('ends a minute after the last heartbeat of its reader', async () => {
    await leaseVersion(root, 'v1');
    const dir = join(root, '.leases', 'v1');
    const [name = ''] = await readdir(dir);
    const beat = new Date(Date.now() - 59_000);
    await utimes(join(dir, name), beat, beat);
    expect([...(await leasedVersions(root))]).toEqual(['v1']);
    expect([...(await leasedVersions(root, Date.now() + 2_000))]).toEqual([]);
  });

  it('is not given on a version that was removed', async () => {
    await expect(leaseVersion(root, 'v2')).rejects.toMatchObject({ code: 'index_missing' });
    expect(await readdir(root)).toEqual(['v1']);
  });

  // Root may write anywhere.
  it.skipIf(process.getuid?.() === 0)('is not needed where nothing can be written', async () => {
    await chmod(root, 0o555);
    const lease = await leaseVersion(root, 'v1');
    await lease.release();
    await chmod(root, 0o755);
    expect(await readdir(root)).toEqual(['v1']);
  });
});
