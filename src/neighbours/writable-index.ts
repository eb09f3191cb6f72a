import { readPublished, type PublishedVersion } from '../examples/index-store.js';
import { leaseVersion } from '../examples/lease.js';
import { lockWriter } from '../examples/writer.js';
import { openEmbeddedIndex, type EmbeddedIndex } from './embedded-index.js';

/** An index that this process alone may change. */
export interface WritableIndex {
  readonly index: EmbeddedIndex;
  readonly published: PublishedVersion;
  /** For after long work. @throws NearvoteError `output_unwritable` where the right to change it was lost meanwhile */
  readonly assertHeld: () => Promise<void>;
}

export interface WritableIndexOptions {
  /** `index/<name>`. */
  readonly root: string;
  readonly now: () => Date;
}

/**
 * Opens an index to change it, lets `work` do so, and closes it. Nobody else changes it meanwhile.
 * @throws NearvoteError `index_readonly` naming who may change it now, `index_*`, `output_unwritable`, or what `work` throws
 */
export async function withWritableIndex<T>(
  { root, now }: WritableIndexOptions,
  work: (writable: WritableIndex) => Promise<T>,
): Promise<T> {
  // Whether there is an index is said before anything is written beside it.
  await readPublished(root);
  const writer = await lockWriter(root);
  try {
    const published = await readPublished(root);
    const lease = await leaseVersion(root, published.version);
    try {
      const opened = { ...published, search: 'exact', threads: 1, access: 'write', now } as const;
      const index = await openEmbeddedIndex(opened);
      try {
        return await work({ index, published, assertHeld: () => writer.assertHeld() });
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
