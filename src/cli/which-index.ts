import { readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { NearvoteError } from '../domain/errors.js';
import { currentFile, readPublished, type PublishedVersion } from '../examples/index-store.js';
import { resolveShipped, shippedIndex } from '../pair.js';
import { printable, printError } from './printable.js';

/** The index that a command works with. */
export interface ChosenIndex {
  /** As it was named, or found. */
  readonly index: string;
  readonly published: PublishedVersion;
}

/**
 * The index that was named, else the only one of the user's own in ./index, else the shipped one.
 * @throws NearvoteError `usage` where there are several of the user's own, `index_*`
 */
export async function whichIndex(named: string | undefined): Promise<ChosenIndex> {
  const index = named ?? (await usualIndex());
  try {
    return { index, published: await readPublished(resolveShipped(index)) };
  } catch (error) {
    if (!(error instanceof NearvoteError) || error.code !== 'index_missing') throw error;
    const own = await ownIndexes();
    if (own.length === 0) throw error;
    throw new NearvoteError(error.code, `${error.message}. There is ${own.join(', ')}`, { cause: error });
  }
}

/**
 * Says on stderr which index a command works with.
 * @throws NearvoteError as `whichIndex`
 */
export async function sayWhichIndex(named: string | undefined): Promise<string> {
  const { index, published } = await whichIndex(named);
  const hint = named === undefined ? '; --index names another' : '';
  printError(printable(`index ${index}, version ${published.version}${hint}`));
  return index;
}

async function usualIndex(): Promise<string> {
  const own = await ownIndexes();
  const [only = shippedIndex.name, another] = own;
  if (another === undefined) return only;
  throw new NearvoteError(
    'usage',
    `Expected --index, since there are several indexes of your own: ${own.join(', ')}`,
  );
}

/** The folders of ./index that have published a version, the shipped one left out; by name. */
async function ownIndexes(): Promise<string[]> {
  const shipped = await realpath(join(shippedIndex.dir, currentFile)).catch(() => undefined);
  const entries = await readdir('index', { withFileTypes: true }).catch(() => []);
  const own: string[] = [];
  for (const { name } of entries) {
    const dir = join('index', name);
    const place = await realpath(join(dir, currentFile)).catch(() => undefined);
    if (place !== undefined && place !== shipped) own.push(dir);
  }
  return own.sort();
}
