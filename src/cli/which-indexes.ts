import { existsSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import {
  isBundleUrl,
  nameOfUrl,
  parseIndexSource,
  type BundleUrl,
  type PointerUrl,
  type UrlRules,
} from '../bundles/bundle-url.js';
import { NearvoteError } from '../domain/errors.js';
import type { PublishedVersion } from '../examples/index-store.js';
import { resolveShipped } from '../pair.js';
import { isIndexUrl, parseIndexUrl, type IndexUrl } from '../postgres/index-url.js';
import { readStoredIndex } from '../postgres/stored-index.js';
import { byName, whichIndex, type ChosenIndex } from './which-index.js';

/** An index of a server. */
export interface NamedIndex extends Pick<ChosenIndex, 'index'> {
  /** Undefined of one that is yet to be fetched. */
  readonly published: PublishedVersion | undefined;
  /** What requests call it. */
  readonly name: string;
  /** Where it lies in PostgreSQL; `index` is what may be shown of that. */
  readonly url?: IndexUrl | undefined;
  /** Where its bundle is fetched from; `index` is what may be shown of that. */
  readonly source?: BundleUrl | PointerUrl | undefined;
}

export interface ToldIndexes extends UrlRules {
  /** Each `name=folder` or `folder`; absent where none was told. */
  readonly index: readonly string[] | undefined;
  /** Whether they come from a variable, which has commas between them. */
  readonly fromVariable: boolean;
}

/**
 * The indexes that a server is started with, in the order in which they were told; where none was, the one that every
 * command finds. Without a name an index is called as its folder.
 * @throws NearvoteError `usage` for a name that cannot be one, two of one name, or one folder twice; `index_*`
 */
export async function whichIndexes({
  index,
  fromVariable,
  allowHttp,
}: ToldIndexes): Promise<readonly [NamedIndex, ...NamedIndex[]]> {
  const told = fromVariable ? index?.flatMap((list) => list.split(',').map((one) => one.trim())) : index;
  const [first, ...others] = (told ?? []).map((text) => parse(text, { allowHttp }));
  if (first === undefined) {
    const found = await whichIndex(undefined);
    return [{ ...found, name: found.published.name }];
  }
  checkNames([first, ...others]);
  const chosen: [NamedIndex, ...NamedIndex[]] = [await choose(first)];
  for (const one of others) chosen.push(await choose(one));
  await checkFolders(chosen);
  return chosen;
}

interface Told {
  /** As it was told. */
  readonly text: string;
  readonly name: string;
  readonly folder: string;
  readonly url?: IndexUrl | undefined;
  readonly source?: BundleUrl | PointerUrl | undefined;
}

export const namePattern = /^[A-Za-z0-9._-]{1,64}$/;
export const nameRule = '1 to 64 letters, digits, dots, underscores and hyphens';

/** What is before an equals sign is a name unless it holds a slash: `./a=b` is a folder. */
function parse(text: string, rules: UrlRules): Told {
  const at = text.indexOf('=');
  if (isBundleUrl(text)) return fetched(parseIndexSource(text, rules));
  if (isIndexUrl(text)) {
    const url = parseIndexUrl(text);
    return { text: url.shown, name: url.name, folder: url.shown, url };
  }
  const name = text.slice(0, Math.max(at, 0));
  if (at === -1 || /[/\\]/.test(name)) {
    if (text === '')
      throw new NearvoteError('usage', 'Expected --index to name a folder but received nothing');
    return { text, name: basename(resolveShipped(text)), folder: text };
  }
  if (!namePattern.test(name)) {
    throw new NearvoteError(
      'usage',
      `Expected --index NAME=FOLDER with a name of ${nameRule} but received ${JSON.stringify(isBundleUrl(text.slice(at + 1)) ? name : text)}`,
    );
  }
  const folder = text.slice(at + 1);
  if (isIndexUrl(folder)) {
    const url = parseIndexUrl(folder);
    return { text: `${name}=${url.shown}`, name, folder: url.shown, url };
  }
  if (isBundleUrl(folder)) return fetched(parseIndexSource(folder, rules), name);
  if (folder !== '') return { text, name, folder };
  throw new NearvoteError('usage', `Expected a folder after --index ${text} but received nothing`);
}

/** @throws NearvoteError `usage` where its URL tells no name */
function fetched(source: BundleUrl | PointerUrl, told?: string): Told {
  const { shown } = source;
  const name = told ?? nameOfUrl(source);
  if (namePattern.test(name))
    return { text: told === undefined ? shown : `${told}=${shown}`, name, folder: shown, source };
  throw new NearvoteError(
    'usage',
    `Expected a name of ${nameRule} in ${shown} but it has another; give it one: --index NAME=URL`,
  );
}

/** One index alone needs no name that can be asked for: it may lie in a folder of any name. */
function checkNames(told: readonly Told[]): void {
  const names = new Map<string, Told>();
  for (const one of told) {
    const { name, folder } = one;
    if (told.length > 1 && !namePattern.test(name)) {
      throw new NearvoteError(
        'usage',
        `Expected a name of ${nameRule} for each of several indexes but the folder ${folder} has another; give it one: --index NAME=${folder}`,
      );
    }
    const same = names.get(name);
    if (same !== undefined) {
      throw new NearvoteError(
        'usage',
        `Expected a name of its own for each index but ${same.text} and ${one.text} are both ${name}; give one another: --index NAME=${folder}`,
      );
    }
    names.set(name, one);
  }
}

async function choose({ text, name, folder, url, source }: Told): Promise<NamedIndex> {
  if (source !== undefined) return { index: source.shown, name, source, published: undefined };
  if (url !== undefined)
    return { index: url.shown, name, url, published: (await readStoredIndex(url)).published };
  try {
    return { ...(await whichIndex(byName(folder))), name };
  } catch (error) {
    const isMissing = error instanceof NearvoteError && error.code === 'index_missing';
    if (!isMissing || text === folder || !existsSync(text)) throw error;
    throw new NearvoteError(error.code, `${error.message}. The folder ${text} is --index ./${text}`, {
      cause: error,
    });
  }
}

/** Each owns its folder: two of them would not know of each other's changes. */
async function checkFolders(chosen: readonly NamedIndex[]): Promise<void> {
  const folders = new Map<string, NamedIndex>();
  for (const one of chosen) {
    // Nobody changes what was fetched.
    if (one.published === undefined) continue;
    const folder = one.url?.shown ?? (await realpath(dirname(one.published.dir)));
    const same = folders.get(folder);
    if (same !== undefined) {
      throw new NearvoteError(
        'usage',
        `Expected a folder of its own for each index but ${same.index} and ${one.index} are one`,
      );
    }
    folders.set(folder, one);
  }
}
