import { readdir, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { closestName } from '../../domain/closest-name.js';
import { NearvoteError, systemCodeOf } from '../../domain/errors.js';
import { openCifarArchive } from './cifar-archive.js';
import { isCifarFolder, openCifarFolder } from './cifar-folder.js';
import type { Dataset } from './dataset.js';
import { openFolder } from './folder.js';
import { openList } from './list.js';

export interface OpenDatasetOptions {
  /** Chooses among CIFAR's files; the other kinds are one split each. */
  readonly split: 'train' | 'test';
  /** Larger files are not read: 20 MB unless told. */
  readonly maxFileBytes?: number | undefined;
  /** Labels do not matter: images may lie in the folder itself. */
  readonly unlabelled?: boolean | undefined;
}

/**
 * Lists a dataset by what it is: a folder per class, a .csv or .jsonl list of path and label, or the official
 * CIFAR-10 / CIFAR-100 binary files as a folder or their .tar.gz.
 * @throws NearvoteError `dataset_missing`, `dataset_invalid` naming the file and line
 */
export async function openDataset(path: string, options: OpenDatasetOptions): Promise<Dataset> {
  const { split, maxFileBytes = 20_000_000, unlabelled = false } = options;
  const stats = await statOf(path);
  if (stats.isDirectory()) {
    return (await isCifarFolder(path))
      ? openCifarFolder(path, split)
      : openFolder(path, { maxFileBytes, unlabelled });
  }
  const name = path.toLowerCase();
  if (stats.isFile() && ['.csv', '.jsonl', '.ndjson'].includes(extname(name)))
    return openList(path, maxFileBytes);
  if (stats.isFile() && /\.(tar\.gz|tgz|tar)$/.test(name)) return openCifarArchive(path, split);
  throw new NearvoteError(
    'dataset_invalid',
    `Expected a folder, a .csv or .jsonl list or a CIFAR .tar.gz but received ${path}`,
  );
}

async function statOf(path: string): Promise<Stats> {
  try {
    return await stat(path);
  } catch (error) {
    const reason = systemCodeOf(error);
    const siblings = await readdir(dirname(path)).catch(() => []);
    const meant = closestName(basename(path), siblings);
    const instead = meant === undefined ? '' : `. There is ${join(dirname(path), meant)}`;
    throw new NearvoteError(
      'dataset_missing',
      `Expected a dataset at ${path} but it cannot be opened (${reason})${instead}`,
      {
        cause: error,
      },
    );
  }
}
