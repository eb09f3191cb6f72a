import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { writing } from '../files/durable.js';
import { lockFolder, type FolderLock } from '../files/lock.js';

/** A folder beside an index for one bundle on its way. */
export interface BundlePlace {
  readonly dir: string;
  /** Removes all that is in it, and lets the next one in. */
  leave(): Promise<void>;
}

/**
 * Takes the place of an index for a bundle: on its disk, for one at a time, whatever process asks. What a killed process left
 * there is removed.
 * @param name of the index, as requests call it
 * @throws NearvoteError `bundle_busy`, `output_unwritable`
 */
export async function takeBundlePlace(name: string, root: string): Promise<BundlePlace> {
  const dir = join(root, '.bundle');
  const lock = await writing(root, () => lockFolder(root, { name: '.bundle-lock' }).catch(busy));
  const clear = (): Promise<void> => rm(dir, { recursive: true, force: true });
  let left: Promise<void> | undefined;
  // Once: the next one may be in it by then.
  const leave = (): Promise<void> => (left ??= clear().finally(() => lock.release()));
  try {
    await writing(root, async () => {
      await clear();
      await mkdir(dir);
    });
    return { dir, leave };
  } catch (error) {
    await leave().catch(() => undefined);
    throw error;
  }

  function busy(error: unknown): FolderLock {
    // What the file system refuses is no NearvoteError yet.
    if (!(error instanceof NearvoteError)) throw error;
    throw new NearvoteError(
      'bundle_busy',
      `Expected no other bundle of ${name} on its way but one is made, sent or taken; send again when that is done`,
      { cause: error },
    );
  }
}
