import { NearvoteError } from '../domain/errors.js';
import { writing } from '../files/durable.js';
import { lockFolder, type FolderLock, type LockFolderOptions } from '../files/lock.js';

/**
 * Takes the writer's lock of `index/<name>`: whoever changes its examples holds it, and no two do. It is another than the
 * lock of a build, which may publish a version meanwhile.
 * @throws NearvoteError `index_readonly` naming who holds it, or why the folder cannot be written
 */
export async function lockWriter(
  root: string,
  options: Omit<LockFolderOptions, 'name'> = {},
): Promise<FolderLock> {
  try {
    return await writing(root, () => lockFolder(root, { ...options, name: '.writer' }));
  } catch (error) {
    if (!(error instanceof NearvoteError)) throw error;
    throw new NearvoteError('index_readonly', error.message, { cause: error });
  }
}
