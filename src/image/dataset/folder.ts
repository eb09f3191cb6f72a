import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { NearvoteError } from '../../domain/errors.js';
import type { Dataset } from './dataset.js';
import { fileDataset } from './file-dataset.js';

/** What tools leave beside images; every other file is taken for an image and, where it is none, ends as a reject. */
const sidecars = /(^(thumbs\.db|desktop\.ini)|\.(txt|json|jsonl|md|csv|xml|ya?ml))$/i;

/**
 * A folder per class: the first level under `root` is the label, whatever lies below belongs to it. Hidden files,
 * sidecars (.txt, .json, .md, .csv, .xml ...) and files directly in `root` are left out. A link to a file inside
 * `root` is followed; links to folders and to anything outside are not. The order is by code unit.
 * @throws NearvoteError `dataset_invalid` where no class folder holds an image
 */
export async function openFolder(root: string, maxFileBytes: number): Promise<Dataset> {
  const realRoot = await realpath(root);
  // Only the paths are held, and nothing is opened: a million images are a list of a million strings.
  const paths: string[] = [];
  const strays: string[] = [];
  for (const entry of await list(root)) {
    if (entry.isDirectory()) await collect({ root, realRoot, folder: entry.name, into: paths });
    else if (!sidecars.test(entry.name)) strays.push(entry.name);
  }
  if (paths.length === 0) throw noClasses(root, strays);
  paths.sort();

  return fileDataset({ name: 'folder', folder: root, ids: paths, labels: paths.map(labelOf), maxFileBytes });
}

/** One spelling for one name: macOS writes its accents apart. */
const labelOf = (id: string): string => id.slice(0, id.indexOf('/')).normalize('NFC');

interface Walk {
  readonly root: string;
  readonly realRoot: string;
  /** Relative to `root`, with `/`. */
  readonly folder: string;
  readonly into: string[];
}

async function collect({ root, realRoot, folder, into }: Walk): Promise<void> {
  for (const entry of await list(join(root, folder))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) await collect({ root, realRoot, folder: path, into });
    else if (sidecars.test(entry.name)) continue;
    else if (entry.isFile()) into.push(path);
    else if (entry.isSymbolicLink() && (await linksToFileWithin(realRoot, join(root, path)))) into.push(path);
  }
}

async function linksToFileWithin(realRoot: string, link: string): Promise<boolean> {
  try {
    const target = await realpath(link);
    return target.startsWith(realRoot + sep) && (await stat(target)).isFile();
  } catch {
    return false; // dangling, or a circle of links
  }
}

async function list(folder: string): Promise<readonly Dirent[]> {
  try {
    return (await readdir(folder, { withFileTypes: true })).filter((entry) => !entry.name.startsWith('.'));
  } catch (error) {
    const reason = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new NearvoteError(
      'dataset_invalid',
      `Expected to list ${folder} but it cannot be read (${reason})`,
      {
        cause: error,
      },
    );
  }
}

function noClasses(root: string, strays: readonly string[]): NearvoteError {
  const named = [...strays].sort().slice(0, 3).join(', ');
  const found =
    strays.length === 0
      ? 'no images'
      : `${strays.length} files outside any class folder (${named}${strays.length > 3 ? ', ...' : ''})`;
  return new NearvoteError(
    'dataset_invalid',
    `Expected a folder of images for each class in ${root} but received ${found}`,
  );
}
