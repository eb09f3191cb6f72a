import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Example } from '../../src/domain/decision.js';
import { openIndex } from '../../src/examples/index-store.js';
import { leaseVersion } from '../../src/examples/lease.js';
import { stageVersion } from '../../src/examples/publish.js';
import { asNobody, giveToNobody } from './as-nobody.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';

const embeddings = onCircle([0, 90]);
const example = (id: string): Example => ({ id, label: id, source: id });
const examples = [example('a'), example('b')];

/** What an index's folder holds, but for what nearvote keeps beside the versions. */
const shown = async (root: string): Promise<string[]> =>
  (await readdir(root)).filter((name) => !name.startsWith('.'));

describe('publishing', () => {
  let base = '';
  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'nearvote-publish-'));
  });
  afterAll(() => rm(base, { recursive: true }));

  const createdAt = '2026-01-01T00:00:09.000Z';
  const publishAs = (root: string, second: number, of: Example[], keep?: number): Promise<string> =>
    publishSmallIndex({
      root,
      embeddings,
      examples: of,
      keep,
      createdAt: `2026-01-01T00:00:0${second}.000Z`,
    });
  /** Each second's version has a content of its own. */
  const publish = (root: string, second: number, keep?: number): Promise<string> =>
    publishAs(root, second, [{ ...example('a'), source: `${second}` }, example('b')], keep);

  it('serves the new version, keeps as many old ones as asked and leaves nothing else', async () => {
    const root = join(base, 'kept');
    const versions: string[] = [];
    for (const second of [1, 2, 3, 4]) {
      versions.push(await publish(root, second, 2));
      expect((await openIndex(root)).dir).toBe(versions.at(-1));
    }
    const names = versions.slice(1).map((dir) => dir.slice(root.length + 1));
    expect((await shown(root)).sort()).toEqual([...names, 'current']);
    await publish(root, 5, 0);
    expect(await shown(root)).toHaveLength(2);
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
    await publish(root, 1);
    expect((await readdir(root)).filter((name) => name.startsWith('.'))).toEqual(['.cache', '.leases']);
  });

  it('publishes nothing where the version served says the same, and the version stays', async () => {
    const root = join(base, 'same');
    const first = await publishAs(root, 1, examples);
    expect(await publishSmallIndex({ root, embeddings, examples, createdAt })).toBe(first);
    expect((await shown(root)).sort()).toEqual([basename(first), 'current']);
    // A damaged one is put right.
    await truncate(join(first, 'embeddings.f32'), 8);
    expect(await publishSmallIndex({ root, embeddings, examples, createdAt })).not.toBe(first);
    expect((await openIndex(root)).examples).toHaveLength(2);
  });

  it('counts the versions it keeps by their content', async () => {
    const root = join(base, 'content');
    const examplesFrom = (source: string): Example[] => [{ ...example('a'), source }, example('b')];
    const [a, b, c] = [examplesFrom('1'), examplesFrom('2'), examplesFrom('3')];
    const made: string[] = [];
    for (const [second, content] of [a, b, a, b, c].entries()) {
      made.push(await publishAs(root, second, content));
    }
    // The first a and the first b are what the second ones are.
    expect((await shown(root)).sort()).toEqual([...made.slice(2).map((dir) => basename(dir)), 'current']);
  });

  it('never removes a version that somebody reads', async () => {
    const root = join(base, 'leased');
    const read = await publish(root, 1, 0);
    const lease = await leaseVersion(root, basename(read));
    for (const second of [2, 3]) await publish(root, second, 0);
    expect(await shown(root)).toHaveLength(3);
    await lease.release();
    await publish(root, 4, 0);
    expect(await shown(root)).toHaveLength(2);
  });

  it('serves the new version where an old one cannot be removed, and names that', async () => {
    const root = join(base, 'unremovable');
    const old = await publish(root, 1, 0);
    const { manifest } = await openIndex(root);
    await chmod(base, 0o755);
    await giveToNobody(root);
    await giveToNobody(join(root, 'current'));
    // Its folder is root's, or closed: what is in it cannot be removed.
    await chmod(old, 0o555);
    const published = await asNobody(async () => {
      const staged = await stageVersion(root);
      try {
        const files = ['examples.jsonl', 'embeddings.f32', 'rejects.jsonl', 'vectors.hnsw'];
        for (const file of files) await cp(join(old, file), join(staged.dir, file)).catch(() => undefined);
        return await staged.publish({ manifest: { ...manifest, seed: 2, createdAt }, keep: 0 });
      } finally {
        await staged.close();
      }
    });
    expect(published).toMatchObject({ changed: true, unremoved: [basename(old)] });
    expect((await openIndex(root)).version).toBe(published.version);
    expect((await shown(root)).sort()).toContain(basename(published.dir));
    for (const name of await readdir(root)) await chmod(join(root, name), 0o755);
    // The next build tries again.
    await publish(root, 3, 0);
    expect(await shown(root)).toHaveLength(2);
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
    expect((await readdir(root)).filter((name) => name.startsWith('.'))).toEqual(['.leases']);
  });

  it('does not publish once its lock was taken away', async () => {
    const root = join(base, 'robbed');
    const served = await publish(root, 1);
    const staged = await stageVersion(root);
    const { manifest } = await openIndex(root);
    await rm(join(root, '.lock'), { recursive: true });
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
