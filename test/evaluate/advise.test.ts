import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { adviseAside } from '../../src/evaluate/advise-aside.js';
import { adviseIndex } from '../../src/evaluate/advise.js';
import { readPublished } from '../../src/examples/index-store.js';
import { openEmbeddedIndex } from '../../src/neighbours/embedded-index.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { onCircle, seededRandom, unitRows } from '../neighbours/unit-vectors.js';

let folder = '';
let root = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'nearvote-advise-'));
  root = join(folder, 'small');
});
afterEach(() => rm(folder, { recursive: true }));

const named = (labels: readonly string[]): { id: string; label: string; source: string }[] =>
  labels.map((label, i) => ({ id: `e${i}`, label, source: `${i}.png` }));

describe('advice', () => {
  it('names the class that gains, with what the index has of each, and the state that it was drawn of', async () => {
    // Cats lie at 0 degrees; dogs on both sides of them, so that one dog says nothing of the other side.
    const degrees = [0, 1, 2, 3, 4, 5, 60, -60, 61, -61];
    const labels = degrees.map((angle) => (Math.abs(angle) < 10 ? 'cat' : 'dog'));
    await publishSmallIndex({ root, embeddings: onCircle(degrees), examples: named(labels) });
    const advice = await adviseIndex({ root, vote: { rule: 'majority', temperature: 1, k: 1 }, seed: 1 });
    expect(advice).toMatchObject({ sequence: 0, examples: 10, measuredOn: 10 });
    expect(advice.labels.map(({ label, examples }) => [label, examples])).toEqual([
      ['dog', 4],
      ['cat', 6],
    ]);
    expect(advice.labels[1]).toMatchObject({ gain: 0, images: 6 });
    // Of three others one lies on the same side: with 1 example a third are right, with 3 all.
    const [dog] = advice.labels;
    expect(dog?.curve.at(-1)).toEqual({ examples: 3, accuracy: 1 });
  });

  it('knows the changes since the version', async () => {
    await publishSmallIndex({
      root,
      embeddings: onCircle([0, 1, 90, 91]),
      examples: named(['cat', 'cat', 'dog', 'dog']),
    });
    const index = await openEmbeddedIndex({
      ...(await readPublished(root)),
      ...{ search: 'exact', threads: 1, access: 'write', now: () => new Date() },
    });
    await index.change({
      ...{ kind: 'add', reason: null, who: null },
      examples: [
        { label: 'bird', digest: 'ab'.repeat(32), source: 'new', embedding: onCircle([180]).values },
      ],
    });
    await index.change({
      ...{ kind: 'edit', reason: null, who: null },
      acts: [{ kind: 'delete', id: 'e3' }],
    });
    await index.close();
    const { sequence, labels } = await adviseIndex({ root, seed: 1 });
    expect(sequence).toBe(2);
    expect(labels.map(({ label, examples, gain }) => [label, examples, gain])).toEqual([
      ['dog', 1, null],
      ['bird', 1, null],
      ['cat', 2, 0],
    ]);
  });

  it('is the same from a process of its own', async () => {
    const random = seededRandom(3);
    const rows = Array.from({ length: 60 }, () => Array.from({ length: 8 }, () => random() - 0.5));
    const labels = rows.map((_, i) => `label ${i % 3}`);
    await publishSmallIndex({ root, embeddings: unitRows(rows), examples: named(labels) });
    expect(await adviseAside({ root, seed: 1 })).toEqual(await adviseIndex({ root, seed: 1 }));
  });

  it('fails as the index does where there is none', async () => {
    await expect(adviseIndex({ root: join(folder, 'nothing'), seed: 1 })).rejects.toMatchObject({
      code: 'index_missing',
    });
  });
});
