import { dot } from '../../src/domain/embeddings.js';
import type { Change, ExampleContent } from '../../src/examples/journal-record.js';
import { randomUnitRows } from '../../test/neighbours/unit-vectors.js';

export const dimension = 16;
const drawn = randomUnitRows(60, dimension, 3);
/** Few, so that many examples are equal to the last bit. */
export const directions: readonly Float32Array[] = Array.from({ length: drawn.count }, (_, i) =>
  drawn.values.slice(i * dimension, (i + 1) * dimension),
);

export interface Listed {
  readonly id: string;
  label: string;
  readonly embedding: Float32Array;
  isLive: boolean;
}

/** What an index should hold, as a plain list in its order: changes applied one by one. */
export class PlainList {
  readonly #listed: Listed[] = [];

  constructor(first: readonly Omit<Listed, 'isLive'>[]) {
    for (const one of first) this.#listed.push({ ...one, isLive: true });
  }

  apply({ kind, id, label }: Change, content: ExampleContent | undefined): void {
    const there = this.#listed.findLast((one) => one.id === id);
    if (kind === 'add' && label !== null && content !== undefined) {
      this.#listed.push({ id, label, embedding: content.embedding, isLive: true });
    } else if (there !== undefined && kind === 'delete') there.isLive = false;
    else if (there !== undefined && label !== null) Object.assign(there, { label, isLive: true });
  }

  get live(): readonly Listed[] {
    return this.#listed.filter(({ isLive }) => isLive);
  }

  /** The nearest k, equal ones in the order of the list, rounded as exact search rounds. */
  nearest(query: Float32Array, k: number): { readonly id: string; readonly label: string }[] {
    return this.live
      .map(({ id, label, embedding }) => ({
        ...{ id, label },
        similarity: Math.fround(dot(query, 0, embedding, 0, dimension)),
      }))
      .sort((a, b) => b.similarity - a.similarity)
      .slice(0, k)
      .map(({ id, label }) => ({ id, label }));
  }
}
