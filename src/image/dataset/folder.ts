import { isUtf8 } from 'node:buffer';
import type { Dirent } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { NearvoteError, systemCodeOf } from '../../domain/errors.js';
import { type Dataset, fileDataset, nameOfPath } from './dataset.js';

/** What tools leave beside images; every other file is taken for an image and, where it is none, ends as a reject. */
export const sidecars = /(^(thumbs\.db|desktop\.ini)|\.(txt|json|jsonl|md|csv|xml|ya?ml))$/i;

interface OpenFolderOptions {
  readonly maxFileBytes: number;
  /** Images directly in the folder are taken too, with an empty label. */
  readonly unlabelled: boolean;
}

/**
 * A folder per class: the first level under `root` is the label, whatever lies below belongs to it. Hidden files,
 * sidecars (.txt, .json, .md, .csv, .xml ...) are left out; other files directly in `root` have no label and are named. A link to a file inside
 * `root` is followed; links to folders and to anything outside are not, and neither are pipes, sockets and devices. What
 * has a name that is no UTF-8, and a folder in a class that cannot be listed, is listed as an image that cannot be read.
 * The order is by code unit.
 * @throws NearvoteError `dataset_invalid` where no class folder holds an image, where the first level is that of train and test, or `root` cannot be listed
 */
export async function openFolder(
  root: string,
  { maxFileBytes, unlabelled }: OpenFolderOptions,
): Promise<Dataset> {
  const realRoot = await realpath(root);
  // Only the paths are held, and nothing is opened: a million images are a list of a million strings.
  const paths: string[] = [];
  const unreadable = new Map<string, string>();
  const strays: string[] = [];
  const passedOver = new Map<string, number>();
  const emptyClasses: string[] = [];
  for (const entry of await listRoot(root)) {
    const name = textOf(entry.name);
    if (entry.isDirectory()) {
      const before = paths.length;
      await collect({ root, realRoot, folder: name, raw: entry.name, into: paths, unreadable, passedOver });
      if (paths.length === before) emptyClasses.push(name);
    } else if (sidecars.test(name)) passOver(name, passedOver);
    else (unlabelled ? paths : strays).push(name);
  }
  if (paths.length === 0) throw noClasses(root, strays);
  paths.sort();
  strays.sort();
  if (!unlabelled) checkSplits(root, paths);

  const labels = paths.map(labelOf);
  const name = nameOfPath(root);
  const dataset = fileDataset({ name, folder: root, ids: paths, labels, maxFileBytes, unreadable });
  return { ...dataset, unlabelled: strays, passedOver, emptyClasses: emptyClasses.sort() };
}

const splitNames = /^(train(ing)?|val(id(ation)?)?|test(ing)?|dev|eval)$/i;

/**
 * Folders of train, validation and test with the classes below them are no classes.
 * @throws NearvoteError `dataset_invalid` naming what may have been meant
 */
function checkSplits(root: string, paths: readonly string[]): void {
  const tops = [...new Set(paths.map(labelOf))];
  const areBelow = paths.every((path) => path.split('/').length > 2);
  if (!areBelow || !tops.every((top) => splitNames.test(top))) return;
  throw new NearvoteError(
    'dataset_invalid',
    `Expected a folder for each class in ${root} but received ${tops.join(', ')}, with folders in them: are those the classes? Then name one of these, as in --data ${join(root, tops[0] ?? '')}`,
  );
}

/** One spelling for one name: macOS writes its accents apart. */
const labelOf = (id: string): string =>
  id.includes('/') ? id.slice(0, id.indexOf('/')).normalize('NFC') : '';

/** A name as it is or, where it is no UTF-8, with the bytes that are no ASCII in hexadecimal. */
export function textOf(name: Buffer): string {
  if (isUtf8(name)) return name.toString();
  return name.toString('latin1').replace(/[\x80-\xff]/g, (byte) => `\\x${byte.charCodeAt(0).toString(16)}`);
}

interface Walk {
  readonly root: string;
  readonly realRoot: string;
  /** Relative to `root`, with `/`, in text and in the bytes that the file system has. */
  readonly folder: string;
  readonly raw: Buffer;
  readonly into: string[];
  readonly unreadable: Map<string, string>;
  readonly passedOver: Map<string, number>;
}

async function collect(walk: Walk): Promise<void> {
  const { root, realRoot, folder, raw, into, unreadable, passedOver } = walk;
  const refuse = (path: string, reason: string) => {
    into.push(path);
    unreadable.set(path, reason);
  };
  for (const entry of await list(bytesOf(root, raw)).catch((error: unknown) => [systemCodeOf(error)])) {
    if (typeof entry === 'string') {
      refuse(`${folder}/`, entry);
      continue;
    }
    const name = textOf(entry.name);
    const path = `${folder}/${name}`;
    if (entry.isDirectory()) await collect({ ...walk, folder: path, raw: bytesOf(raw, entry.name) });
    else if (sidecars.test(name)) passOver(name, passedOver);
    else if (!isUtf8(raw) || !isUtf8(entry.name)) {
      if (entry.isFile()) refuse(path, 'its name is not UTF-8');
    } else if (entry.isFile()) into.push(path);
    else if (entry.isSymbolicLink() && (await linksToFileWithin(realRoot, join(root, path)))) into.push(path);
  }
}

function passOver(name: string, passedOver: Map<string, number>): void {
  const ending = extname(name).toLowerCase();
  passedOver.set(ending, (passedOver.get(ending) ?? 0) + 1);
}

const bytesOf = (folder: string | Buffer, name: Buffer): Buffer =>
  Buffer.concat([Buffer.from(folder), Buffer.from('/'), name]);

/** Whether a link leads to a file inside `realRoot`. */
export async function linksToFileWithin(realRoot: string, link: string): Promise<boolean> {
  try {
    const target = await realpath(link);
    return target.startsWith(realRoot + sep) && (await stat(target)).isFile();
  } catch {
    return false; // dangling, or a circle of links
  }
}

async function list(folder: string | Buffer): Promise<readonly Dirent<Buffer>[]> {
  const entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' });
  return entries.filter(({ name }) => name[0] !== 0x2e); // a dot
}

async function listRoot(root: string): Promise<readonly Dirent<Buffer>[]> {
  try {
    return await list(root);
  } catch (error) {
    const message = `Expected to list ${root} but it cannot be read (${systemCodeOf(error)})`;
    throw new NearvoteError('dataset_invalid', message, { cause: error });
  }
}

function noClasses(root: string, strays: readonly string[]): NearvoteError {
  const named = strays.slice(0, 3).join(', ');
  const found =
    strays.length === 0
      ? 'no images'
      : `${strays.length === 1 ? '1 file' : `${strays.length} files`} outside any class folder (${named}${strays.length > 3 ? ', ...' : ''})`;
  return new NearvoteError(
    'dataset_invalid',
    `Expected a folder of images for each class in ${root} but received ${found}`,
  );
}
