import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeIndex, listIndexes } from '../../src/curate/describe-index.js';
import { diffIndex } from '../../src/curate/diff-index.js';
import { editManifest, publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle } from '../neighbours/unit-vectors.js';
import { add, journalOf, operation, relabel, teachSmallIndex } from './taught-index.js';

let base = '';
let root = '';
let dir = '';
let made = 0;
beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), 'nearvote-curate-'));
});
afterAll(() => rm(base, { recursive: true }));
beforeEach(async () => {
  root = join(base, `pets-${made++}`);
  dir = await teachSmallIndex(root);
});

describe('the difference between two states of an index', () => {
  it('names what was added, deleted and relabelled, and counts it by label', async () => {
    const difference = await diffIndex({ root, from: '0', to: '4' });
    expect(difference).toEqual({
      from: { version: basename(dir), sequence: 0 },
      to: { version: basename(dir), sequence: 4 },
      added: [{ id: 'd1', label: 'dog', source: '100.png' }],
      deleted: [{ id: 'd0', label: 'dog', source: 'd0.png' }],
      relabelled: [
        { id: 'c0', was: 'cat', label: 'lynx', source: 'c0.png' },
        { id: 'c1', was: 'cat', label: 'lynx', source: 'c1.png' },
      ],
      labels: [
        { label: 'cat', before: 3, after: 1, added: 0, deleted: 0, gained: 0, lost: 2 },
        { label: 'dog', before: 1, after: 1, added: 1, deleted: 1, gained: 0, lost: 0 },
        { label: 'lynx', before: 0, after: 2, added: 0, deleted: 0, gained: 2, lost: 0 },
      ],
    });
  });

  it('is the other way round from the second to the first', async () => {
    const difference = await diffIndex({ root, from: '4', to: '1' });
    expect(difference.added.map(({ id }) => id)).toEqual(['d0']);
    expect(difference.deleted).toEqual([]);
    expect(difference.relabelled.map(({ id, was, label }) => [id, was, label])).toEqual([
      ['c0', 'lynx', 'cat'],
      ['c1', 'lynx', 'cat'],
    ]);
  });

  it('takes a version for what it was when it was published, and a version with changes', async () => {
    const version = basename(dir);
    const same = await diffIndex({ root, from: version, to: `${version.slice(0, 12)}@0` });
    expect([same.added, same.deleted, same.relabelled, same.labels]).toEqual([[], [], [], []]);
    const later = await diffIndex({ root, from: version.slice(-8), to: `${version}@1` });
    expect(later.added.map(({ id }) => id)).toEqual(['d1']);
    expect(later.relabelled).toEqual([]);
  });

  it('sees what comes back as other examples of the same labels', async () => {
    const journal = await journalOf(root);
    journal.append(operation(add('d0', 'wolf', 90)));
    journal.close();
    const difference = await diffIndex({ root, from: '0', to: '5' });
    expect(difference.relabelled).toContainEqual({ id: 'd0', was: 'dog', label: 'wolf', source: '90.png' });
    expect((await diffIndex({ root, from: '4', to: '5' })).added.map(({ id }) => id)).toEqual(['d0']);
  });

  it('reaches back behind the version served by taking changes back', async () => {
    const later = await publishSmallIndex({
      root,
      embeddings: onCircle([0, 10, 20, 100]),
      examples: [
        { id: 'c0', label: 'lynx', source: 'c0.png' },
        { id: 'c1', label: 'lynx', source: 'c1.png' },
        { id: 'c2', label: 'cat', source: 'c2.png' },
        { id: 'd1', label: 'dog', source: '100.png' },
      ],
      createdAt: '2026-01-02T00:00:00.000Z',
      keep: 0,
    });
    await editManifest(later, (manifest) => (manifest['sequence'] = 4));
    const difference = await diffIndex({ root, from: '0', to: '4' });
    expect(difference.from).toEqual({ version: basename(later), sequence: 0 });
    expect(difference.added.map(({ id }) => id)).toEqual(['d1']);
    // Its source is what the delete kept of it.
    expect(difference.deleted).toEqual([{ id: 'd0', label: 'dog', source: '90.png' }]);
    expect(difference.relabelled.map(({ id }) => id)).toEqual(['c0', 'c1']);
  });

  it.each([
    ['9', 'change_missing', '0 to 4'],
    ['pets', 'usage', 'VERSION@SEQUENCE'],
    ['2026@9', 'change_missing', '0 to 4'],
    ['', 'usage', 'VERSION'],
  ])('is refused to whoever calls a state %j', async (named, code, said) => {
    await expect(diffIndex({ root, from: '0', to: named })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(said) as string,
    });
  });

  it('is refused where changes do not fit the version that they are to be made to', async () => {
    const journal = await journalOf(root);
    journal.append(operation(relabel('nobody', 'cat', 'dog')));
    journal.close();
    await expect(diffIndex({ root, from: '0', to: '5' })).rejects.toMatchObject({
      code: 'index_invalid',
      message: expect.stringMatching(/change 5 .* example nobody .* missing/) as string,
    });
  });
});

describe('a description of an index', () => {
  it('counts examples as they are with all changes, and what is kept', async () => {
    const description = await describeIndex(root);
    expect(description).toMatchObject({
      name: basename(root),
      version: basename(dir),
      sequence: 4,
      changesSince: 4,
      examples: 4,
      labels: [
        { label: 'cat', examples: 1 },
        { label: 'dog', examples: 1 },
        { label: 'lynx', examples: 2 },
      ],
      versions: [{ version: basename(dir), sequence: 0, examples: 4 }],
    });
    expect(description.bytes).toBeGreaterThan(description.versions[0]?.bytes ?? Infinity);
  });

  it('of a folder names every index in it, and what is wrong with one that cannot be read', async () => {
    const folder = join(base, 'several');
    await teachSmallIndex(join(folder, 'pets'));
    const broken = await teachSmallIndex(join(folder, 'broken'));
    await editManifest(broken, (manifest) => (manifest['dimension'] = 'two'));
    const listed = await listIndexes(folder);
    expect(listed).toEqual([
      { root: join(folder, 'broken'), fault: expect.stringContaining('dimension') as string },
      {
        root: join(folder, 'pets'),
        summary: expect.objectContaining({ examples: 4, changesSince: 4 }) as object,
      },
    ]);
    await expect(listIndexes(join(folder, 'none'))).rejects.toMatchObject({ code: 'index_missing' });
  });
});
