import { NearvoteError } from '../domain/errors.js';
import { canaryEmbedding, type Canaries } from '../examples/canaries.js';
import type { Neighbours } from '../neighbours/neighbours.js';

/** Cosines of the same vectors on another processor, or in half precision, differ by less. */
const tolerance = 1e-3;
/** A graph may miss some that exact search found; the bar of a build is higher. */
const leastFound = 0.9;
/** More than are compared: a graph that is asked for few misses more. */
const leastK = 20;

/**
 * Asks an index that was loaded what it was asked when it was bundled.
 * @throws NearvoteError `bundle_invalid` where it answers otherwise, and what the search throws
 */
export async function askCanaries(
  neighbours: Pick<Neighbours, 'search' | 'version'>,
  { queries }: Canaries,
): Promise<void> {
  let asked = 0;
  let found = 0;
  for (const [i, query] of queries.entries()) {
    const expected = query.neighbours;
    const { examples, similarities } = await neighbours.search(canaryEmbedding(query), {
      ...{ k: leastK, clamped: true, shown: leastK },
    });
    const byId = new Map(expected.map((one) => [one.id, one]));
    const last = expected.at(-1)?.similarity ?? -1;
    for (const [rank, { id, label }] of examples.entries()) {
      const similarity = similarities[rank] ?? NaN;
      const known = byId.get(id);
      const isTooNear = known === undefined && similarity > last + tolerance;
      const isOther =
        known !== undefined &&
        (known.label !== label || !(Math.abs(known.similarity - similarity) <= tolerance));
      if (isTooNear || isOther || !Number.isFinite(similarity)) {
        throw wrong(
          neighbours,
          `question ${i + 1} finds ${id} (${label}) with similarity ${similarity.toFixed(4)}`,
        );
      }
    }
    // Where many are equally near, it may name others of them.
    for (const [rank, { similarity }] of expected.entries()) {
      asked++;
      if (Math.abs((similarities[rank] ?? NaN) - similarity) <= tolerance) found++;
    }
  }
  if (found < asked * leastFound) throw wrong(neighbours, `only ${found} of ${asked} neighbours are found`);
}

function wrong({ version: { name, version } }: Pick<Neighbours, 'version'>, why: string): NearvoteError {
  return new NearvoteError(
    'bundle_invalid',
    `Expected ${name} ${version} to answer its canary queries as it did when it was exported but ${why}`,
  );
}
