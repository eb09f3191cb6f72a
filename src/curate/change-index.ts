import { readPublished, type PublishedVersion } from '../examples/index-store.js';
import { leaseVersion } from '../examples/lease.js';
import { lockWriter } from '../examples/writer.js';
import type { Changed, ChangeRequest } from '../neighbours/changes.js';
import { openEmbeddedIndex, type EmbeddedIndex } from '../neighbours/embedded-index.js';

export interface OpenWritableOptions {
  /** `index/<name>`. */
  readonly root: string;
  readonly now: () => Date;
}

export interface ChangeIndexOptions extends OpenWritableOptions {
  readonly request: ChangeRequest;
}

/**
 * Changes an index that no process serves with leave to change it.
 * @throws NearvoteError `index_readonly` naming who may change it now, `index_*`, `output_unwritable`, and what the request
 * is refused with: `example_missing`, `label_invalid`, `change_missing`, `change_conflict` and their like
 */
export function changeIndex({ request, ...where }: ChangeIndexOptions): Promise<Changed> {
  return withWritableIndex(where, (index) => index.change(request));
}

/**
 * Opens an index that no process serves with leave to change it, lets `work` change it, and closes it.
 * @throws NearvoteError `index_readonly` naming who may change it now, `index_*`, and what `work` throws
 */
export async function withWritableIndex<T>(
  { root, now }: OpenWritableOptions,
  work: (index: EmbeddedIndex, published: PublishedVersion) => Promise<T>,
): Promise<T> {
  // Whether there is an index is said before anything is written beside it.
  await readPublished(root);
  const writer = await lockWriter(root);
  try {
    const published = await readPublished(root);
    const lease = await leaseVersion(root, published.version);
    try {
      const index = await openEmbeddedIndex({
        ...published,
        search: 'exact',
        threads: 1,
        access: 'write',
        now,
      });
      try {
        return await work(index, published);
      } finally {
        await index.close();
      }
    } finally {
      await lease.release();
    }
  } finally {
    await writer.release();
  }
}
