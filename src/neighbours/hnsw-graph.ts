import { NearvoteError } from '../domain/errors.js';
import type { HnswGraph, HnswModule } from './hnsw-module.js';

export interface HnswParameters {
  /** Links of a node on each level; the ground level has twice as many. */
  readonly m: number;
  readonly efConstruction: number;
  readonly seed: number;
}

export interface HnswBuilder {
  /** Adds the next row, of unit length. */
  add(embedding: Float32Array): void;
  /**
   * Writes the graph, lets go of it and reads the file back: hnswlib does not notice a full disk, and searching what
   * was read proves what was written.
   * @throws NearvoteError `index_invalid` when it does not read back whole
   */
  write(file: string): Promise<HnswGraph>;
}

export interface HnswBuilderOptions extends HnswParameters {
  readonly module: HnswModule;
  readonly dimension: number;
  readonly maxElements: number;
}

/** Builds a graph row by row. */
export function createHnswBuilder(options: HnswBuilderOptions): HnswBuilder {
  const { module, dimension, maxElements, m, efConstruction, seed } = options;
  const graph = new module.HierarchicalNSW('ip', dimension);
  graph.initIndex({ maxElements: Math.max(maxElements, 1), m, efConstruction, randomSeed: seed });
  let size = 0;
  return {
    add: (embedding) => graph.addPoint(Array.from(embedding), size++),
    write: async (file) => {
      await graph.writeIndex(file);
      // Frees it now and not when the collector, which does not see native memory, comes by. Reading into it would do
      // so too, but leaves a dangling pointer when the read fails.
      graph.initIndex({ maxElements: 1, m, efConstruction, randomSeed: seed });
      return openGraph({ module, file, size, dimension });
    },
  };
}

export interface OpenGraphOptions {
  readonly module: HnswModule;
  readonly file: string;
  readonly size: number;
  readonly dimension: number;
}

/**
 * Reads a graph from disk.
 * @throws NearvoteError `index_invalid` when it cannot be read or does not hold `size` rows
 */
export async function openGraph({ module, file, size, dimension }: OpenGraphOptions): Promise<HnswGraph> {
  const graph = new module.HierarchicalNSW('ip', dimension);
  try {
    await graph.readIndex(file);
  } catch (cause) {
    throw new NearvoteError(
      'index_invalid',
      'Expected vectors.hnsw to be an HNSW graph but it cannot be read',
      {
        cause,
      },
    );
  }
  const rows = graph.getCurrentCount();
  if (rows !== size) {
    throw new NearvoteError(
      'index_invalid',
      `Expected vectors.hnsw to hold ${size} rows but it holds ${rows}`,
    );
  }
  return graph;
}
