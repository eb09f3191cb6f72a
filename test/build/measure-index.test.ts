import { expect, it } from 'vitest';
import { measureIndex } from '../../src/build/measure-index.js';
import { createExactSearcher } from '../../src/neighbours/exact.js';
import { createHnswBuilder, createHnswSearcher, loadHnswModule } from '../../src/neighbours/hnsw.js';
import { seededRandom, unitRows } from '../neighbours/unit-vectors.js';

const module = await loadHnswModule();

/** Clusters, as classes are, wide enough that a query may lie between two examples. */
function clusters(size: number, dimension: number): ReturnType<typeof unitRows> {
  const random = seededRandom(5);
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const centres = Array.from({ length: 50 }, () => {
    const centre = Array.from({ length: dimension }, normal);
    return centre.map((value) => value / Math.hypot(...centre));
  });
  return unitRows(
    Array.from({ length: size }, (_, i) =>
      (centres[i % 50] ?? []).map((value) => value + (0.3 * normal()) / Math.sqrt(dimension)),
    ),
  );
}

it.skipIf(module === undefined)(
  'measures less for a graph that finds its own rows better than others',
  async () => {
    if (module === undefined) return;
    const [size, dimension, k] = [2_000, 32, 20];
    const embeddings = clusters(size, dimension);
    const builder = createHnswBuilder({
      ...{
        module,
        dimension,
        maxElements: size,
        m: 4,
        efConstruction: 40,
        seed: 1,
      },
    });
    for (let row = 0; row < size; row++) {
      builder.add(embeddings.values.subarray(row * dimension, (row + 1) * dimension));
    }
    const exact = await createExactSearcher({ embeddings, threads: 1 });
    const searcher = createHnswSearcher({
      ...{ ...builder.finish(), size, dimension, ef: 40, exact: () => Promise.resolve(exact) },
    });
    const found = await searcher.search(embeddings, k + 1);
    const truth = await exact.search(embeddings, k + 1);
    // Every row asks for itself, and counts its own place as one that was found.
    let hits = 0;
    for (const [i, similarity] of found.similarities.entries()) {
      const last = truth.similarities[(Math.floor(i / (k + 1)) + 1) * (k + 1) - 1] ?? NaN;
      if (similarity >= last - 1e-5) hits++;
    }
    expect(hits / found.rows.length).toBeGreaterThan(0.99);
    const { recall } = await measureIndex({
      ...{ embeddings, labels: Array.from({ length: size }, (_, row) => `${row % 50}`) },
      ...{ searcher, exact, seed: 1 },
      progress: { start: () => undefined, advance: () => undefined, finish: () => undefined },
    });
    expect(recall).toMatchObject({ k, queries: 1_000 });
    expect(recall?.value).toBeLessThan(0.99);
    await exact.close();
  },
);
