import type { Example } from '../domain/decision.js';
import { NearvoteError } from '../domain/errors.js';
import { createExactSearcher } from '../neighbours/exact.js';
import type { Searcher } from '../neighbours/searcher.js';
import type { EmbeddedDataset } from './embed-dataset.js';
import { sameImage } from './evaluate.js';

export interface CheckUnknownOptions {
  /** Images that are to be of no label of the index. */
  readonly unknown: Pick<EmbeddedDataset, 'images' | 'embeddings'>;
  /** The images they are to be told from. */
  readonly known: Pick<EmbeddedDataset, 'images' | 'embeddings'>;
  readonly examples: readonly Example[];
  /** Over the examples. */
  readonly exact: Searcher;
  readonly threads: number;
}

/**
 * Makes sure that unknown images are neither in the index nor among the known ones: not by id, and not by an embedding
 * that is all but identical.
 * @throws NearvoteError `dataset_invalid` naming the first that is
 */
export async function checkUnknown(options: CheckUnknownOptions): Promise<void> {
  const { unknown, known, examples, exact, threads } = options;
  const ids = new Map([
    ...known.images.map(({ id }) => [id, 'image of the data'] as const),
    ...examples.map(({ id }) => [id, 'example of the index'] as const),
  ]);
  const nearestExamples = (await exact.search(unknown.embeddings, 1)).similarities;
  const among = await createExactSearcher({ embeddings: known.embeddings, threads });
  const nearestKnown = (await among.search(unknown.embeddings, 1)).similarities;
  await among.close();
  const overlaps = unknown.images.flatMap(({ id }, i) => {
    const owner = ids.get(id);
    if (owner !== undefined) return [`${id} has the id of an ${owner}`];
    const same =
      (nearestExamples[i] ?? NaN) >= sameImage
        ? 'example of the index'
        : (nearestKnown[i] ?? NaN) >= sameImage
          ? 'image of the data'
          : undefined;
    return same === undefined ? [] : [`${id} is all but identical to an ${same}`];
  });
  if (overlaps.length > 0) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected unknown images that are neither in the index nor in the data but ${overlaps.length} of ${unknown.images.length} are: ${overlaps[0] ?? ''}`,
    );
  }
}
