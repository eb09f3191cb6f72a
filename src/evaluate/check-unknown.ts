import type { Example } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';
import type { NearestRows } from '../neighbours/searcher.js';
import type { EmbeddedDataset } from './embed-dataset.js';
import { sameImage } from './evaluate.js';

export interface CheckUnknownOptions {
  /** Images that are to be of no label of the index. */
  readonly unknown: EmbeddedDataset;
  readonly examples: readonly Example[];
  /** The ids of the images they are to be told from. */
  readonly knownIds: ReadonlySet<string>;
  /** The nearest example of each unknown image, by exact search, and the nearest of the known images. */
  readonly nearestExamples: NearestRows;
  readonly nearestKnown: NearestRows;
}

/**
 * Makes sure that unknown images are none of those they are to be told from: not by id, and not by an embedding that is
 * all but identical.
 * @throws NearvoteError `dataset_invalid` naming the first that is
 */
export function checkUnknown(options: CheckUnknownOptions): void {
  const { unknown, examples, knownIds, nearestExamples, nearestKnown } = options;
  const exampleIds = new Set(examples.map(({ id }) => id));
  const why = (id: string, i: number): string | undefined => {
    if (exampleIds.has(id)) return 'has the id of an example of the index';
    if (knownIds.has(id)) return 'has the id of an image of the data';
    if (nearestOf(nearestExamples, i) >= sameImage) return 'is all but identical to an example of the index';
    if (nearestOf(nearestKnown, i) >= sameImage) return 'is all but identical to an image of the data';
    return undefined;
  };
  const overlaps = unknown.images.flatMap(({ id }, i) => {
    const reason = why(id, i);
    return reason === undefined ? [] : [`${id} ${reason}`];
  });
  if (overlaps.length > 0) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected unknown images that are neither in the index nor in the data but ${overlaps.length} of ${unknown.images.length} are: ${overlaps[0] ?? ''}`,
    );
  }
}

const nearestOf = (found: NearestRows, query: number): number => found.similarities[query * found.k] ?? NaN;

/** Labels that images have and no example has: they cannot be got right. In label order, with their images. */
export function labelsNotIn(
  examples: readonly Example[],
  truths: readonly string[],
): { readonly label: string; readonly count: number }[] {
  const known = new Set(examples.map(({ label }) => label));
  const missing = new Map<string, number>();
  for (const truth of truths) if (!known.has(truth)) missing.set(truth, (missing.get(truth) ?? 0) + 1);
  return [...missing].sort(([a], [b]) => (a < b ? -1 : 1)).map(([label, count]) => ({ label, count }));
}
