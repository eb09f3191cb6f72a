import { isUtf8 } from 'node:buffer';
import { opendir, readdir, realpath, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { NearvoteError, systemCodeOf } from '../../domain/errors.js';
import { linksToFileWithin, sidecars, textOf } from './folder.js';

/** An image file by its name: nothing of it was read. */
export interface ImageFile {
  /** As it was named, or found below a folder that was named. */
  readonly path: string;
  /** Why it can never be read, where that is known already. */
  readonly fault?: string;
}

export interface WalkOptions {
  /** Real paths of files and folders that are no images whatever their names, such as the result itself. */
  readonly own?: readonly string[] | undefined;
  /** Counts what is passed over, by what its name ends with or by what it is. */
  readonly passedOver?: Map<string, number> | undefined;
}

/** One folder on the way: its names are all that is held of it. */
interface Folder {
  readonly path: string;
  /** In code-unit order. */
  readonly names: readonly string[];
  readonly folders: ReadonlySet<string>;
  readonly faults: ReadonlyMap<string, string>;
  at: number;
}

/**
 * The files that were named and those in folders that were named, however deep: each folder's in code-unit order of the
 * names, folders among files. In folders, hidden ones and sidecars (.txt, .json, .csv ...) are passed over, and so is what is
 * no file; a link to a file inside the folder that was named is followed, links to folders and to elsewhere are not. A
 * folder that cannot be listed, and what has a name that is no UTF-8, is a file with a fault.
 */
export async function* walkImages(
  paths: readonly string[],
  options: WalkOptions = {},
): AsyncGenerator<ImageFile> {
  for (const path of paths) {
    const stats = await stat(path).catch(() => undefined);
    if (stats?.isDirectory() === true) yield* walkFolder(path, options);
    else yield { path };
  }
}

async function* walkFolder(root: string, options: WalkOptions): AsyncGenerator<ImageFile> {
  const realRoot = await realpath(root).catch(() => root);
  const way: Folder[] = [];
  const enter = async (path: string): Promise<ImageFile | undefined> => {
    try {
      way.push(await list(path, realRoot, options));
      return undefined;
    } catch (error) {
      return { path: `${path}/`, fault: systemCodeOf(error) };
    }
  };
  const refused = await enter(root);
  if (refused !== undefined) yield refused;
  for (let folder = way.at(-1); folder !== undefined; folder = way.at(-1)) {
    const name = folder.names[folder.at++];
    if (name === undefined) {
      way.pop();
      continue;
    }
    const path = join(folder.path, name);
    const fault = folder.faults.get(name);
    if (fault !== undefined) yield { path, fault };
    else if (!folder.folders.has(name)) yield { path };
    else {
      const closed = await enter(path);
      if (closed !== undefined) yield closed;
    }
  }
}

/** @throws the file system's own error */
async function list(path: string, realRoot: string, options: WalkOptions): Promise<Folder> {
  const names: string[] = [];
  const folders = new Set<string>();
  const faults = new Map<string, string>();
  const { own = [], passedOver = new Map<string, number>() } = options;
  const passOver = (what: string): void => void passedOver.set(what, (passedOver.get(what) ?? 0) + 1);
  let isGarbled = false;
  // One by one: of a million entries only the names are to be held.
  for await (const entry of await opendir(path, { bufferSize: 512 })) {
    const { name } = entry;
    if (name.startsWith('.') || (await isOwn(join(path, name), own))) continue;
    if (name.includes('\ufffd')) isGarbled = true;
    else if (entry.isDirectory()) {
      names.push(name);
      folders.add(name);
    } else if (sidecars.test(name)) passOver(extname(name).toLowerCase());
    else if (entry.isFile()) names.push(name);
    else if (entry.isSymbolicLink() && (await linksToFileWithin(realRoot, join(path, name))))
      names.push(name);
    else passOver(entry.isSymbolicLink() ? 'links' : 'pipes and devices');
  }
  if (isGarbled) await addGarbled();
  names.sort();
  return { path, names, folders, faults, at: 0 };

  /** What is no UTF-8 has all read as the same character, which a name may hold for itself. */
  async function addGarbled(): Promise<void> {
    for (const raw of await readdir(path, { withFileTypes: true, encoding: 'buffer' })) {
      const name = textOf(raw.name);
      if (isUtf8(raw.name) ? !name.includes('\ufffd') : name.startsWith('.')) continue;
      if (!isUtf8(raw.name)) faults.set(name, 'its name is not UTF-8');
      else if (raw.isDirectory()) folders.add(name);
      else if (!raw.isFile() || sidecars.test(name)) continue;
      names.push(name);
    }
  }
}

async function isOwn(path: string, own: readonly string[]): Promise<boolean> {
  const name = basename(path);
  if (!own.some((one) => basename(one) === name)) return false;
  const real = await realpath(path).catch(() => path);
  return own.includes(real);
}

/**
 * How many files there are, counted no further than to `most`.
 * @throws NearvoteError `image_missing` where nothing that was named is there
 */
export async function countImages(
  paths: readonly string[],
  {
    most = Infinity,
    counts = () => true,
    ...options
  }: WalkOptions & {
    readonly most?: number;
    /** Whether to count a file; every one unless told. */
    readonly counts?: (file: ImageFile) => boolean;
  } = {},
): Promise<number> {
  const there = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)));
  const [first = ''] = paths;
  if (there.every((stats) => stats === undefined)) {
    throw new NearvoteError('image_missing', `Expected an image file or a folder but there is no ${first}`);
  }
  let count = 0;
  for await (const file of walkImages(paths, options)) {
    if (counts(file)) count++;
    if (count >= most) break;
  }
  return count;
}
