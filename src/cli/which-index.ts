import { isUtf8 } from 'node:buffer';
import { existsSync, type Dirent } from 'node:fs';
import { readdir, realpath } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isBundleUrl } from '../bundles/bundle-url.js';
import { NearvoteError, systemCodeOf } from '../domain/errors.js';
import { currentFile, readPublished, type PublishedVersion } from '../examples/index-store.js';
import { readJournal, sequenceOf } from '../curate/kept-versions.js';
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
  const index = inFolder(named) ?? (await usualIndex());
  try {
    return { index, published: await readPublished(resolveShipped(index)) };
  } catch (error) {
    if (!(error instanceof NearvoteError) || error.code !== 'index_missing') throw error;
    // What is wrong with another index is no answer to what is wrong with this one.
    const own = await ownIndexes().catch(() => []);
    const tried = await realpath(resolveShipped(index)).catch(() => undefined);
    const others = own.filter(({ place }) => dirname(place) !== tried).map(({ dir }) => dir);
    if (others.length === 0) throw error;
    throw new NearvoteError(error.code, `${error.message}. There is ${others.join(', ')}`, { cause: error });
  }
}

/** @throws NearvoteError `usage` for an index in PostgreSQL, without its URL: that may hold a password */
function inFolder(named: string | undefined): string | undefined {
  if (named !== undefined && isBundleUrl(named)) {
    throw new NearvoteError(
      'usage',
      'Expected the folder of an index but received a URL, which serve takes; nearvote index import makes an index of a bundle',
    );
  }
  // With a name before it, as serve takes it, it is one too.
  if (named === undefined || !/(^|[=,])\s*postgres(ql)?:/i.test(named)) return named;
  throw new NearvoteError(
    'usage',
    'Expected the folder of an index but received the URL of one in PostgreSQL, which serve, index show, index log and the commands that change examples take',
  );
}

/** The folder of an index that was called by its name or its folder: a bare name is that of one in ./index. */
export function indexNamed(named: string): string {
  inFolder(named);
  const isBare = basename(named) === named && named !== '.' && named !== '..';
  const isFolder = existsSync(join(named, currentFile));
  return isBare && !isFolder ? join('index', named) : named;
}

/** What was named, unless it is the name of an index in ./index alone. */
export function byName(named: string): string {
  const inIndex = indexNamed(named);
  return existsSync(join(inIndex, currentFile)) ? inIndex : named;
}

/**
 * The folder of the index that was called by its name or its folder, else of the one that is found, which is said on stderr.
 * @throws NearvoteError as `whichIndex`
 */
export async function rootOf(named: string | undefined): Promise<string> {
  const { index } =
    named === undefined
      ? { index: await sayWhichIndex(undefined) }
      : await whichIndex(indexNamed(named)).catch((error: unknown) => notThere(named, error));
  return resolveShipped(index);
}

/** Of a bare name, what there is. @throws the error itself otherwise */
async function notThere(named: string, error: unknown): Promise<never> {
  const isBare = indexNamed(named) !== named && !existsSync(resolveShipped(indexNamed(named)));
  if (!isBare || !(error instanceof NearvoteError) || error.code !== 'index_missing') throw error;
  const own = (await ownIndexes().catch(() => [])).map(({ dir }) => basename(dir));
  const others = own.length === 0 ? 'that folder has none' : `there is ${own.join(', ')}`;
  throw new NearvoteError(
    error.code,
    `Expected an index called ${named} in ./index but there is none; ${others}`,
    { cause: error },
  );
}

/**
 * Says on stderr which index a command works with.
 * @throws NearvoteError as `whichIndex`
 */
export async function sayWhichIndex(named: string | undefined): Promise<string> {
  inFolder(named);
  // The variable may be there for a server of several.
  if (named !== undefined && /[=,]/.test(named) && !existsSync(resolveShipped(named))) {
    throw new NearvoteError(
      'usage',
      `Expected --index to name one folder but received ${named}: names and several indexes are for serve alone`,
    );
  }
  const { index, published } = await whichIndex(named === undefined ? undefined : byName(named));
  const hint = named === undefined ? '; --index names another' : '';
  printError(printable(`index ${index}, version ${published.version}${hint}`));
  return index;
}

/**
 * Says on stderr which index a command works with that looks at its version alone, and how many changes that leaves out.
 * @throws NearvoteError as `whichIndex`, `index_invalid` where its journal is damaged
 */
export async function sayWhichVersion(named: string | undefined): Promise<string> {
  const index = await sayWhichIndex(named);
  const root = resolveShipped(index);
  const published = await readPublished(root);
  const held = sequenceOf(published);
  using journal = await readJournal(root, published);
  const since = (journal?.head ?? held) - held;
  if (since > 0) {
    printError(
      printable(
        `Warning: this looks at version ${published.version} alone and leaves out ${since} ${since === 1 ? 'change' : 'changes'} ` +
          `made to ${index} since; nearvote index compact folds them in, or POST /versions of its server`,
      ),
    );
  }
  return index;
}

async function usualIndex(): Promise<string> {
  const own = (await ownIndexes()).map(({ dir }) => dir);
  const [only = shippedIndex.name, another] = own;
  if (another === undefined) return only;
  throw new NearvoteError(
    'usage',
    `Expected --index, since there are several indexes of your own: ${own.join(', ')}`,
  );
}

interface OwnIndex {
  /** As it may be named. */
  readonly dir: string;
  /** Of its `current`, links followed. */
  readonly place: string;
}

/**
 * The folders of ./index that have published a version, hidden ones and the shipped one left out, by name; one that has
 * several names, by links, is named once.
 * @throws NearvoteError `index_invalid` naming what cannot be read: it may be the one that is meant
 */
async function ownIndexes(): Promise<OwnIndex[]> {
  const shipped = await realpath(join(shippedIndex.dir, currentFile)).catch(() => undefined);
  const own = new Map<string, OwnIndex & { readonly isLink: boolean }>();
  for (const entry of await entriesOf('index')) {
    const dir = `index/${entry.name.toString()}`;
    const raw = Buffer.concat([Buffer.from('index/'), entry.name, Buffer.from(`/${currentFile}`)]);
    const place = await realpath(raw).catch((cause: unknown) => nothingOr(dir, cause));
    if (place === undefined || place === shipped) continue;
    if (!isUtf8(entry.name)) {
      throw new NearvoteError('index_invalid', `Expected a name in UTF-8 but there is ${dir}: rename it`);
    }
    const known = own.get(place);
    const one = { dir, place, isLink: entry.isSymbolicLink() };
    if (known === undefined || (known.isLink && !one.isLink)) own.set(place, one);
  }
  return [...own.values()].sort((a, b) => (a.dir < b.dir ? -1 : 1));
}

/** Of a folder, by name, without what is hidden; none where there is no such folder. */
async function entriesOf(folder: string): Promise<readonly Dirent<Buffer>[]> {
  const entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' }).catch((cause: unknown) =>
    nothingOr(folder, cause),
  );
  const seen = (entries ?? []).filter(({ name }) => name[0] !== 0x2e); // a dot
  return seen.sort((a, b) => Buffer.compare(a.name, b.name));
}

/** @throws NearvoteError `index_invalid` unless there is simply nothing */
function nothingOr(path: string, cause: unknown): undefined {
  const reason = systemCodeOf(cause);
  if (['ENOENT', 'ENOTDIR'].includes(reason)) return undefined;
  throw new NearvoteError(
    'index_invalid',
    `Expected to look for an index of your own but ${path} cannot be read (${reason}); --index names another`,
    { cause },
  );
}
