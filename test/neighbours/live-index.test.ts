import { afterEach, describe, expect, it } from 'vitest';
import type { Example } from '../../src/domain/decision.js';
import { asEmbeddings, dot, type Embeddings } from '../../src/domain/embeddings.js';
import type { Change, ChangeKind, ExampleContent } from '../../src/examples/journal-record.js';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import { createHnswBuilder, createHnswSearcher, loadHnswModule } from '../../src/neighbours/hnsw.js';
import { createLiveIndex, type LiveIndex } from '../../src/neighbours/live-index.js';
import type { Searcher } from '../../src/neighbours/searcher.js';
import { onCircle, randomUnitRows, seededRandom } from './unit-vectors.js';

const encoder = 'e0'.repeat(32);
let open: LiveIndex | undefined;
afterEach(async () => {
  await open?.close();
  open = undefined;
});

/** Examples `a0`, `a1`, ... of labels that alternate. */
const examplesOf = (count: number, labels = 3): Example[] =>
  Array.from({ length: count }, (_, i) => ({
    id: `a${i}`,
    label: `label ${i % labels}`,
    source: `${i}.png`,
  }));

function countLabels(examples: readonly Example[]): { label: string; examples: number }[] {
  const counts = new Map<string, number>();
  for (const { label } of examples) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts].map(([label, count]) => ({ label, examples: count }));
}

function liveIndex(base: Searcher, examples: readonly Example[]): LiveIndex {
  open = createLiveIndex({ base, examples, labels: countLabels(examples), sequence: 0, encoder });
  return open;
}

const exactOf = (embeddings: Embeddings): Promise<Searcher> =>
  createExactSearcher({ embeddings, threads: 1 });

async function graphOf(embeddings: Embeddings): Promise<Searcher> {
  const module = await loadHnswModule();
  if (module === undefined) throw new Error('hnswlib-node is needed here');
  const { count, dimension, values } = embeddings;
  const builder = createHnswBuilder({
    ...{ module, dimension, maxElements: count },
    ...{ m: 16, efConstruction: 200, seed: 1 },
  });
  for (let row = 0; row < count; row++) builder.add(values.subarray(row * dimension, (row + 1) * dimension));
  return createHnswSearcher({
    ...builder.finish(),
    ...{ size: count, dimension, ef: 400, exact: () => exactOf(embeddings) },
  });
}

let sequence = 0;
function change(kind: ChangeKind, id: string, label: string | null, was: string | null): Change {
  sequence++;
  return {
    ...{ kind, id, label, was, sequence, operation: sequence },
    ...{ at: '2026-01-01T00:00:00.000Z', reason: null, who: null, reverts: null },
  };
}
const content = (embedding: Float32Array): ExampleContent => ({
  digest: null,
  source: 'taught',
  encoder,
  embedding,
});
const direction = (degrees: number): Float32Array => onCircle([degrees]).values;

async function idsNear(live: LiveIndex, query: Float32Array, k: number): Promise<string[]> {
  const { rows } = await live.search(asEmbeddings(query, live.dimension), k);
  return Array.from(rows, (position) => live.exampleAt(position).id);
}

/** What the index should hold, as a plain list in its order. */
interface Held {
  id: string;
  label: string;
  embedding: Float32Array;
  isLive: boolean;
}

/** The live ones by similarity, equal ones in the order of the list: rounded as exact search rounds. */
function nearestIn(held: readonly Held[], query: Float32Array, k: number): { id: string; label: string }[] {
  return held
    .filter(({ isLive }) => isLive)
    .map(({ id, label, embedding }) => ({
      ...{ id, label },
      similarity: Math.fround(dot(query, 0, embedding, 0, query.length)),
    }))
    .sort((a, b) => b.similarity - a.similarity)
    .slice(0, k)
    .map(({ id, label }) => ({ id, label }));
}

describe('an index that changes', () => {
  it('searches the version alone, bit for bit, while nothing has changed', async () => {
    const embeddings = randomUnitRows(50, 8);
    const base = await exactOf(embeddings);
    const live = liveIndex(base, examplesOf(50));
    const queries = randomUnitRows(5, 8, 9);
    expect(await live.search(queries, 7)).toEqual(await base.search(queries, 7));
  });

  it('finds what was added, leaves out what was deleted and gives new labels', async () => {
    const live = liveIndex(await exactOf(onCircle([0, 40, 80])), examplesOf(3));
    live.apply(change('add', 'new', 'fresh', null), content(direction(10)));
    live.apply(change('delete', 'a0', null, 'label 0'), undefined);
    live.apply(change('relabel', 'a1', 'fresh', 'label 1'), undefined);
    expect(await idsNear(live, direction(0), 3)).toEqual(['new', 'a1', 'a2']);
    expect([...live.labels]).toEqual([
      ['label 2', 1],
      ['fresh', 2],
    ]);
    expect(live.size).toBe(3);
    await expect(live.search(onCircle([0]), 4)).rejects.toMatchObject({ code: 'k_too_large' });
  });

  it('orders equal similarities by the version, and what was added after it, in the order of adding', async () => {
    const live = liveIndex(await exactOf(onCircle([30, 30, 90])), examplesOf(3));
    for (const id of ['z', 'b']) live.apply(change('add', id, 'x', null), content(direction(30)));
    expect(await idsNear(live, direction(30), 5)).toEqual(['a0', 'a1', 'z', 'b', 'a2']);
  });

  it('puts what was deleted back in its old place', async () => {
    const live = liveIndex(await exactOf(onCircle([30, 30, 90])), examplesOf(3));
    live.apply(change('add', 'z', 'x', null), content(direction(30)));
    live.apply(change('delete', 'a0', null, 'label 0'), undefined);
    expect(await idsNear(live, direction(30), 2)).toEqual(['a1', 'z']);
    live.apply(change('restore', 'a0', 'label 0', null), content(direction(30)));
    expect(await idsNear(live, direction(30), 3)).toEqual(['a0', 'a1', 'z']);
  });

  it('brings back what the version no longer has from what the change says of it', async () => {
    const live = liveIndex(await exactOf(onCircle([0, 90])), examplesOf(2));
    live.apply(change('restore', 'gone', 'old', null), content(direction(45)));
    expect(await idsNear(live, direction(45), 1)).toEqual(['gone']);
  });

  it('brings back what was deleted, and not what was added under its id afterwards', async () => {
    const live = liveIndex(await exactOf(onCircle([0, 90])), examplesOf(2));
    live.apply(change('delete', 'a0', null, 'label 0'), undefined);
    live.apply(change('add', 'a0', 'x', null), content(direction(180)));
    live.apply(change('delete', 'a0', null, 'x'), content(direction(180)));
    live.apply(change('restore', 'a0', 'label 0', null), content(direction(0)));
    expect(await idsNear(live, direction(0), 1)).toEqual(['a0']);
    expect(live.size).toBe(2);
  });

  it('counts nothing as changed that is again as the version has it', async () => {
    const live = liveIndex(await exactOf(onCircle([0, 90])), examplesOf(2));
    live.apply(change('relabel', 'a0', 'x', 'label 0'), undefined);
    live.apply(change('delete', 'a0', null, 'x'), undefined);
    expect(live.changed).toBe(1);
    live.apply(change('restore', 'a0', 'x', null), content(direction(0)));
    expect(live.changed).toBe(1);
    live.apply(change('relabel', 'a0', 'label 0', 'x'), undefined);
    expect(live.changed).toBe(0);
    expect(live.exampleAt(0).label).toBe('label 0');
  });

  it('passes over what a change says of an example that is not there', async () => {
    const live = liveIndex(await exactOf(onCircle([0, 90])), examplesOf(2));
    live.apply(change('delete', 'nobody', null, 'x'), undefined);
    live.apply(change('relabel', 'nobody', 'y', 'x'), undefined);
    expect(live.size).toBe(2);
    expect(live.sequence).toBe(sequence);
  });

  it('passes over what another encoder embedded, and what happened to that afterwards', async () => {
    const live = liveIndex(await exactOf(onCircle([0, 90])), examplesOf(2));
    const foreign = { ...content(direction(10)), encoder: 'f0'.repeat(32) };
    live.apply(change('add', 'b', 'x', null), foreign);
    live.apply(change('relabel', 'b', 'y', 'x'), undefined);
    live.apply(change('delete', 'b', null, 'y'), foreign);
    live.apply(change('restore', 'b', 'y', null), foreign);
    expect([...live.labels.keys()]).toEqual(['label 0', 'label 1']);
    expect(await idsNear(live, direction(10), 2)).toEqual(['a0', 'a1']);
    expect(live.isAt(0, { ...content(direction(0)), encoder: foreign.encoder })).toBe(false);
  });

  it('finds the rest where all that lies near was deleted', async () => {
    const near = Array.from({ length: 200 }, (_, i) => 10 + i / 100);
    const live = liveIndex(await graphOf(onCircle([...near, 170, 171])), examplesOf(202));
    for (let i = 0; i < 200; i++) live.apply(change('delete', `a${i}`, null, `label ${i % 3}`), undefined);
    expect(await idsNear(live, direction(10), 2)).toEqual(['a200', 'a201']);
  });

  it('can be emptied and taught again', async () => {
    const live = liveIndex(await exactOf(onCircle([0])), examplesOf(1));
    live.apply(change('delete', 'a0', null, 'label 0'), undefined);
    expect(live.size).toBe(0);
    await expect(live.search(onCircle([0]), 1)).rejects.toMatchObject({ code: 'k_too_large' });
    live.apply(change('add', 'b', 'x', null), content(direction(90)));
    expect(await idsNear(live, direction(0), 1)).toEqual(['b']);
  });

  it('starts from nothing', async () => {
    const live = liveIndex(await exactOf(asEmbeddings(new Float32Array(0), 2)), []);
    live.apply(change('add', 'b', 'x', null), content(direction(90)));
    expect(await idsNear(live, direction(0), 1)).toEqual(['b']);
  });
});

describe.each([
  ['exact search', exactOf],
  ['a graph', graphOf],
] as const)('after hundreds of random changes over %s', (_name, searcherOf) => {
  it('gives the order, the ties and the labels of a plain list, for every k', async () => {
    const random = seededRandom(11);
    const pick = (count: number): number => Math.floor(random() * count);
    // Few directions, so that many are equal to the last bit.
    const directions = randomUnitRows(40, 6, 3);
    const directionOf = (i: number): Float32Array => directions.values.slice(i * 6, (i + 1) * 6);
    const chosen = Array.from({ length: 120 }, () => directionOf(pick(40)));
    const examples = examplesOf(120);
    const live = liveIndex(
      await searcherOf(asEmbeddings(Float32Array.from(chosen.flatMap((one) => [...one])), 6)),
      examples,
    );
    const held = examples.map(({ id, label }, i): Held => ({
      ...{ id, label },
      embedding: chosen[i] ?? new Float32Array(6),
      isLive: true,
    }));
    for (let round = 0; round < 300; round++) {
      const act = pick(4);
      const one = held[pick(held.length)];
      if (act === 0 || one === undefined) {
        const added: Held = {
          id: `n${round}`,
          label: `label ${pick(5)}`,
          embedding: directionOf(pick(40)),
          isLive: true,
        };
        held.push(added);
        live.apply(change('add', added.id, added.label, null), content(added.embedding));
      } else if (!one.isLive) {
        one.isLive = true;
        live.apply(change('restore', one.id, one.label, null), content(one.embedding));
      } else if (act === 1) {
        const was = one.label;
        one.label = `label ${pick(5)}`;
        live.apply(change('relabel', one.id, one.label, was), undefined);
      } else {
        one.isLive = false;
        live.apply(change('delete', one.id, null, one.label), undefined);
      }
      if (round % 10 !== 0) continue;
      const query = randomUnitRows(1, 6, 100 + round);
      const k = 1 + pick(live.size);
      const { rows, similarities } = await live.search(query, k);
      const found = Array.from(rows, (position) => live.exampleAt(position));
      expect(found.map(({ id, label }) => ({ id, label }))).toEqual(nearestIn(held, query.values, k));
      expect([...similarities].every((one, i) => i === 0 || one <= (similarities[i - 1] ?? NaN))).toBe(true);
      const labels = countLabels(
        held.filter(({ isLive }) => isLive).map(({ id, label }) => ({ id, label, source: '' })),
      );
      expect(new Map(live.labels)).toEqual(
        new Map(labels.map(({ label, examples: count }) => [label, count])),
      );
    }
  });
});
