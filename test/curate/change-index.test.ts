import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { changeIndex } from '../../src/curate/change-index.js';
import { describeIndex } from '../../src/curate/describe-index.js';
import { diffIndex } from '../../src/curate/diff-index.js';
import { verifyIndex } from '../../src/curate/verify-index.js';
import { lockWriter } from '../../src/examples/writer.js';
import type { Changed, ExampleAct } from '../../src/neighbours/changes.js';
import { teachSmallIndex } from './taught-index.js';

let base = '';
let root = '';
let made = 0;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-change-'));
});
afterAll(() => rm(base, { recursive: true }));
beforeEach(async () => {
  root = join(base, `pets-${made++}`);
  await teachSmallIndex(root);
});

const by = { reason: 'a try', who: 'Ada' };
const now = (): Date => new Date('2026-01-02T00:00:00.000Z');
const edit = (...acts: ExampleAct[]): Promise<Changed> =>
  changeIndex({ root, now, request: { kind: 'edit', acts, ...by } });
const revert = (sequence: number): Promise<Changed> =>
  changeIndex({ root, now, request: { kind: 'revert', sequence, ...by } });

describe('an index that nobody serves', () => {
  it('is relabelled, renamed, emptied of examples and taken back, and every state can be compared', async () => {
    expect(await edit({ kind: 'relabel', id: 'c2', label: 'lynx' })).toMatchObject({
      sequence: 5,
      operation: 5,
    });
    const renamed = await changeIndex({
      ...{ root, now, request: { kind: 'rename', from: 'lynx', to: 'bobcat', ...by } },
    });
    expect(renamed).toMatchObject({ sequence: 8, operation: 6 });
    expect(renamed.outcomes).toHaveLength(3);
    expect(await edit({ kind: 'delete', id: 'c0' }, { kind: 'delete', id: 'd1' })).toMatchObject({
      sequence: 10,
    });
    expect(await describeIndex(root)).toMatchObject({
      examples: 2,
      labels: [{ label: 'bobcat', examples: 2 }],
    });
    expect((await revert(9)).outcomes).toEqual([
      { outcome: 'restored', id: 'd1', label: 'dog' },
      { outcome: 'restored', id: 'c0', label: 'bobcat' },
    ]);
    const undone = await diffIndex({ root, from: '8', to: '12' });
    expect([undone.added, undone.deleted, undone.relabelled]).toEqual([[], [], []]);
    const since = await diffIndex({ root, from: '4', to: '12' });
    expect(since.labels).toEqual([
      { label: 'bobcat', before: 0, after: 3, added: 0, deleted: 0, gained: 3, lost: 0 },
      { label: 'cat', before: 1, after: 0, added: 0, deleted: 0, gained: 0, lost: 1 },
      { label: 'lynx', before: 2, after: 0, added: 0, deleted: 0, gained: 0, lost: 2 },
    ]);
    expect(await verifyIndex({ root })).toMatchObject({ changes: 12, defects: [] });
  });

  it('is left as it was by what it refuses', async () => {
    await expect(revert(99)).rejects.toMatchObject({ code: 'change_missing' });
    await edit({ kind: 'relabel', id: 'c0', label: 'cat' });
    await expect(revert(2)).rejects.toMatchObject({
      code: 'change_conflict',
      message: expect.stringMatching(/take back change \d+ first$/) as string,
    });
    await expect(edit({ kind: 'delete', id: 'd0' })).rejects.toMatchObject({ code: 'example_missing' });
    await expect(edit({ kind: 'relabel', id: 'c0', label: '\u202e' })).rejects.toMatchObject({
      code: 'label_invalid',
    });
    await expect(edit({ kind: 'delete', id: 'c1' }, { kind: 'delete', id: 'nobody' })).rejects.toMatchObject({
      code: 'example_missing',
    });
    expect(await edit({ kind: 'relabel', id: 'c0', label: 'cat' })).toMatchObject({
      sequence: 5,
      operation: null,
    });
  });

  it('is refused to a second process, which is told who may change it', async () => {
    const lock = await lockWriter(root);
    await expect(edit({ kind: 'delete', id: 'c0' })).rejects.toMatchObject({
      code: 'index_readonly',
      message: expect.stringContaining(`process ${process.pid}`) as string,
    });
    await lock.release();
    expect(await edit({ kind: 'delete', id: 'c0' })).toMatchObject({ sequence: 5 });
    expect((await readdir(root)).filter((name) => name.startsWith('.writer'))).toEqual([]);
  });

  it('has to be there: nothing is made where there is none', async () => {
    root = join(base, 'none');
    await expect(edit({ kind: 'delete', id: 'c0' })).rejects.toMatchObject({ code: 'index_missing' });
    expect(await readdir(base)).not.toContain('none');
  });
});
