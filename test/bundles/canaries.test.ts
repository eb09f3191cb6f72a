import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { askCanaries } from '../../src/bundles/ask-canaries.js';
import type { Embeddings } from '../../src/domain/embeddings.js';
import {
  canaryEmbedding,
  parseCanaries,
  recordCanaries,
  type Canaries,
} from '../../src/examples/canaries.js';
import { readPublished } from '../../src/examples/index-store.js';
import { openIndexOwner } from '../../src/neighbours/index-owner.js';
import type { Neighbours } from '../../src/neighbours/neighbours.js';
import { publishSmallIndex } from '../neighbours/small-index.js';
import { nearestByLoop, onCircle, randomUnitRows } from '../neighbours/unit-vectors.js';

const base = await mkdtemp(join(tmpdir(), 'nearvote-canaries-'));
const open: Neighbours[] = [];
afterEach(() => Promise.all(open.splice(0).map((one) => one.close())));
afterAll(() => rm(base, { recursive: true }));

async function publish(name: string, embeddings: Embeddings, label = (row: number) => `l${row % 3}`) {
  const root = join(base, name);
  const examples = Array.from({ length: embeddings.count }, (_, row) => ({
    ...{ id: `e${row}`, label: label(row), source: `${row}.png` },
  }));
  await publishSmallIndex({ root, embeddings, examples });
  return readPublished(root);
}
async function served(name: string): Promise<Neighbours> {
  const published = await readPublished(join(base, name));
  const neighbours = await openIndexOwner({ ...published, search: 'auto', threads: 1 });
  open.push(neighbours);
  return neighbours;
}
const parsed = (text: string): Canaries => {
  const canaries = parseCanaries(text);
  if (canaries === undefined) throw new Error('Expected canaries');
  return canaries;
};

describe('canary queries', () => {
  it('are the nearest by a double loop, of examples all over the index, the same each time', async () => {
    const rows = randomUnitRows(2_000, 16);
    const published = await publish('many', rows);
    const text = await recordCanaries(published);
    expect(await recordCanaries(published)).toBe(text);
    const { queries } = parsed(text);
    expect(queries).toHaveLength(8);
    for (const [i, query] of queries.entries()) {
      const row = i * 250;
      const own = rows.values.slice(row * 16, (row + 1) * 16);
      expect(canaryEmbedding(query)).toEqual(own);
      const asked = { count: 1, dimension: 16, values: own } as Embeddings;
      const [nearest] = nearestByLoop(rows, asked, 5);
      expect(query.neighbours.map(({ id }) => id)).toEqual(nearest?.rows.map((near) => `e${near}`));
      expect(query.neighbours[0]).toEqual({ id: `e${row}`, label: `l${row % 3}`, similarity: 1 });
    }
    // By its graph too.
    await askCanaries(await served('many'), { ...parsed(text) });
  });

  it('of an index with few examples, or none, or many that are equal, are answered by it', async () => {
    for (const [name, degrees] of [
      ['two', [0, 90]],
      ['equal', Array.from({ length: 60 }, (_, i) => (i < 50 ? 10 : 90))],
    ] as const) {
      const canaries = parsed(await recordCanaries(await publish(name, onCircle(degrees))));
      expect(canaries.queries).toHaveLength(Math.min(8, degrees.length));
      await askCanaries(await served(name), canaries);
    }
    await askCanaries(await served('two'), { schemaVersion: 1, queries: [] });
  });

  it.each([
    ['a label', [0, 10, 90], (row: number) => (row === 1 ? 'other' : `l${row % 3}`)],
    ['an example elsewhere', [0, 40, 90], undefined],
    ['a nearer example', [0, 10, 90, 1, 2, 3, 4, 5], undefined],
    ['nothing that was there', [180, 200, 220], undefined],
  ])('tell an index that has %s', async (name, degrees, label) => {
    const canaries = parsed(await recordCanaries(await publish(`was ${name}`, onCircle([0, 10, 90]))));
    await publish(name, onCircle(degrees), label);
    await expect(askCanaries(await served(name), canaries)).rejects.toMatchObject({
      code: 'bundle_invalid',
      message: expect.stringContaining('canary queries') as string,
    });
  });

  it('are text that is checked', async () => {
    const text = await recordCanaries(await publish('text', onCircle([0, 10])));
    expect(parseCanaries(text)).toBeDefined();
    for (const wrong of [
      '',
      '{}',
      text.replace('"l0"', '1'),
      text.replace('"schemaVersion":1', '"schemaVersion":2'),
    ])
      expect(parseCanaries(wrong)).toBeUndefined();
  });
});
