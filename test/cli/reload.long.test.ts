import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { beforeEach, describe, expect, it } from 'vitest';

import { decisionSchema } from '../../src/server/schemas.js';
import { childrenOf, createWorkplace, soon, startServed, type Served } from './served.js';

const reloads = (result: 'ok' | 'failed'): string =>
  `nearvote_index_reloads_total{index="colours",result="${result}"}`;
const workplace = await createWorkplace();
beforeEach(() => workplace.publish('v1'));

const serve = (...flags: string[]): Promise<Served> => startServed(workplace, ...flags);

const versionOf = async (answer: Response): Promise<string> => {
  expect(answer.status).toBe(200);
  return decisionSchema.parse(await answer.json()).index.version;
};

describe('a reload by SIGHUP', () => {
  it('swaps in the version that is published now, and no request under way notices', async () => {
    const served = await serve('--workers', '2');
    const seen: string[] = [];
    let done = false;
    const clients = Array.from({ length: 2 }, async () => {
      while (!done) seen.push(await versionOf(await served.classify()));
    });
    await expect.poll(() => seen.length, soon).toBeGreaterThan(20);
    await workplace.publish('v2');
    served.child.kill('SIGHUP');
    await expect.poll(() => served.metric(reloads('ok')), soon).toBe(1);
    const reloadedAt = seen.length;
    await expect.poll(() => seen.length, soon).toBeGreaterThan(reloadedAt + 20);
    done = true;
    await Promise.all(clients);
    expect(new Set(seen)).toEqual(new Set(['v1', 'v2']));
    expect(seen.at(-1)).toBe('v2');

    const info = (version: string): string =>
      `nearvote_index_info{index="colours",version="${version}",encoder="cifar10-compact"}`;
    expect(await served.metric(info('v2'))).toBe(1);
    expect(await served.metric(info('v1'))).toBeNaN();
    expect(await served.metric('nearvote_index_examples{index="colours"}')).toBe(2);
    expect(await served.metric('nearvote_worker_restarts_total{process="encoder"}')).toBe(0);
    expect(await served.ready()).toBe(true);
    // Read through /proc: the workers, and the one owner of the index.
    if (process.platform === 'linux') await expect.poll(() => childrenOf(served).length, soon).toBe(3);
  });

  it('that fails leaves the old version serving, and is counted and explained', async () => {
    const served = await serve();
    await workplace.publish('v9');
    served.child.kill('SIGHUP');
    await expect.poll(() => served.metric(reloads('failed')), soon).toBe(1);
    expect(await served.metric(reloads('ok'))).toBe(0);
    expect(await served.ready()).toBe(true);
    expect(await versionOf(await served.classify())).toBe('v1');
    await expect.poll(() => served.stderr(), soon).toMatch(/index_missing|index_invalid/);

    await workplace.publish('v2');
    served.child.kill('SIGHUP');
    await expect.poll(() => served.metric(reloads('ok')), soon).toBe(1);
    expect(await versionOf(await served.classify())).toBe('v2');
  });

  it('lets a request that began before it end on the version it began with, and then lets that go', async () => {
    // Longer than any reload takes, or the upload would be given up before its end.
    const served = await serve('--request-timeout', '1m');
    const endUpload = await served.beginUpload();
    // Answered after the upload has begun, on a connection of its own.
    await expect.poll(() => served.metric('nearvote_inflight_requests'), soon).toBe(2);
    await workplace.publish('v2');
    served.child.kill('SIGHUP');
    await expect.poll(() => served.metric(reloads('ok')), soon).toBe(1);
    expect(await versionOf(await served.classify())).toBe('v2');
    expect(await versionOf(await endUpload())).toBe('v1');
    if (process.platform === 'linux') await expect.poll(() => childrenOf(served).length, soon).toBe(2);
  });

  it('does nothing while the server stops', async () => {
    const served = await serve('--drain', '1m', '--grace', '2m');
    served.child.kill('SIGTERM');
    await expect.poll(() => served.ready(), soon).toBe(false);
    await workplace.publish('v2');
    served.child.kill('SIGHUP');
    // Signals arrive in order: this answer comes after a reload would have begun.
    expect(await versionOf(await served.classify())).toBe('v1');
    expect([await served.metric(reloads('ok')), await served.metric(reloads('failed'))]).toEqual([0, 0]);
    served.child.kill('SIGTERM');
    expect(await served.exited).toEqual([1, null]);
  });

  it('does not hold up a stop that comes during it', async () => {
    const served = await serve();
    served.child.kill('SIGHUP');
    served.child.kill('SIGTERM');
    expect(await served.exited).toEqual([0, null]);
  });
});

describe('a reload by POST /admin/reload', () => {
  it('answers what it swapped in, for the admin key alone; a bad index is a problem and changes nothing', async () => {
    const key = 'a-key-of-the-admin-alone';
    const keyFile = join(workplace.folder, 'admin-key');
    await writeFile(keyFile, `${key}\n`);
    const served = await serve('--admin-key-file', keyFile);
    const reload = (presented: string): Promise<Response> =>
      fetch(`${served.url}/admin/reload`, {
        method: 'POST',
        headers: { authorization: `Bearer ${presented}` },
      });

    await workplace.publish('v2');
    expect((await reload('some-other-long-key')).status).toBe(401);
    expect(await versionOf(await served.classify())).toBe('v1');

    const swapped = await reload(key);
    expect(swapped.status).toBe(200);
    expect(await swapped.json()).toMatchObject({ index: { name: 'colours', version: 'v2' } });
    expect(await versionOf(await served.classify())).toBe('v2');

    await workplace.publish('v9');
    const failed = await reload(key);
    expect(failed.status).toBe(409);
    const problem = await failed.text();
    expect(problem).toContain('"reload_failed"');
    expect(problem).not.toContain(workplace.folder);
    expect(await versionOf(await served.classify())).toBe('v2');
    expect([await served.metric(reloads('ok')), await served.metric(reloads('failed'))]).toEqual([1, 1]);
  });

  it('does not exist without an admin key', async () => {
    const served = await serve();
    expect((await fetch(`${served.url}/admin/reload`, { method: 'POST' })).status).toBe(404);
  });
});
