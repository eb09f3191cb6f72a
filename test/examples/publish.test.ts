import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openIndex } from '../../src/examples/index-store.js';
import { stageVersion } from '../../src/examples/publish.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';

const embeddings = onCircle([0, 90]);
const examples = ['a', 'b'].map((id) => ({ id, label: id, source: id }));

describe('publishing', () => {
  let base = '';
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-publish-'));
  });
  afterAll(() => rm(base, { recursive: true }));

  const publish = (root: string, second: number, keep?: number): Promise<string> =>
    publishSmallIndex({ root, embeddings, examples, keep, createdAt: `2026-01-01T00:00:0${second}.000Z` });

  it('serves the new version, keeps as many old ones as asked and leaves nothing else', async () => {
    const root = join(base, 'kept');
    const versions: string[] = [];
    for (const second of [1, 2, 3, 4]) {
      versions.push(await publish(root, second, 2));
      expect((await openIndex(root)).dir).toBe(versions.at(-1));
    }
    const names = versions.slice(1).map((dir) => dir.slice(root.length + 1));
    expect((await readdir(root)).sort()).toEqual([...names, 'current']);
    await publish(root, 5, 0);
    expect(await readdir(root)).toHaveLength(2);
  });

  it('never removes the version served, even when the clock went back', async () => {
    const root = join(base, 'clock');
    for (const second of [8, 9]) await publish(root, second, 1);
    const last = await publish(root, 1, 1);
    expect((await openIndex(root)).dir).toBe(last);
  });

  it('removes what a killed build left and keeps folders it does not know', async () => {
    const root = join(base, 'stale');
    await mkdir(join(root, '.staging-999999-abcd'), { recursive: true });
    await mkdir(join(root, '.cache'));
    await writeFile(join(root, '.staging-current-1234'), 'half');
    await writeFile(join(root, '.claim-old'), '{}');
    await utimes(join(root, '.claim-old'), 1_000_000_000, 1_000_000_000);
    // Another build may be on its way to being refused.
    await writeFile(join(root, '.claim-new'), '{}');
    await publish(root, 1);
    expect((await readdir(root)).filter((name) => name.startsWith('.')).sort()).toEqual([
      '.cache',
      '.claim-new',
    ]);
  });

  it('lets one build in at a time, and the next when the first is done', async () => {
    const root = join(base, 'locked');
    await publish(root, 1);
    const first = await stageVersion(root);
    await expect(stageVersion(root)).rejects.toMatchObject({
      code: 'output_unwritable',
      message: expect.stringContaining(`process ${process.pid}`) as string,
    });
    expect(existsSync(first.dir)).toBe(true);
    await first.close();
    await (await stageVersion(root)).close();
    expect((await readdir(root)).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  it('lets exactly one of many in that find the lock of a dead process', async () => {
    const root = join(base, 'race');
    await mkdir(root);
    // The highest pid Linux gives is 4,194,304.
    const dead = { token: 'dead', pid: 2_147_483_646, host: hostname(), startedAt: '1' };
    await writeFile(join(root, '.lock-1'), JSON.stringify(dead));
    const all = await Promise.allSettled(Array.from({ length: 8 }, () => stageVersion(root)));
    const inside = all.filter((one) => one.status === 'fulfilled');
    expect(inside).toHaveLength(1);
    for (const one of inside) await one.value.close();
    expect(await readdir(root)).toEqual([]);
  });

  it('breaks the lock of a dead process whose number another process has now', async () => {
    const root = join(base, 'reused');
    await mkdir(root);
    const reused = { token: 'dead', pid: process.pid, host: hostname(), startedAt: 'before the last boot' };
    await writeFile(join(root, '.lock-1'), JSON.stringify(reused));
    await (await stageVersion(root)).close();
  });

  it('breaks a lock that is not one', async () => {
    const root = join(base, 'torn');
    await mkdir(root);
    await writeFile(join(root, '.lock-1'), '{"tok');
    await (await stageVersion(root)).close();
  });

  it('respects the lock of another machine', async () => {
    const root = join(base, 'elsewhere');
    await mkdir(root);
    await writeFile(
      join(root, '.lock-1'),
      JSON.stringify({ token: 'x', pid: 1, host: 'other', startedAt: null }),
    );
    await expect(stageVersion(root)).rejects.toMatchObject({
      code: 'output_unwritable',
      message: expect.stringContaining('on other') as string,
    });
  });

  it('does not publish once its lock was taken away', async () => {
    const root = join(base, 'robbed');
    const served = await publish(root, 1);
    const staged = await stageVersion(root);
    const { manifest } = await openIndex(root);
    await rm(join(root, '.lock-1'));
    const other = await stageVersion(root);
    await expect(staged.publish({ manifest, keep: 2 })).rejects.toMatchObject({ code: 'output_unwritable' });
    await staged.close();
    await other.close();
    expect((await openIndex(root)).dir).toBe(served);
  });

  it('says that a folder cannot be written where a file is in its place', async () => {
    await writeFile(join(base, 'file'), 'not a folder');
    for (const root of [join(base, 'file'), join(base, 'file', 'below')]) {
      await expect(stageVersion(root)).rejects.toMatchObject({ code: 'output_unwritable' });
    }
    expect(await readFile(join(base, 'file'), 'utf8')).toBe('not a folder');
  });
});
