import { Option, type Command } from 'commander';
import { createServerIndex, type ServerIndex } from '../client/server-index.js';
import { changeIndex } from '../curate/change-index.js';
import { describeIndex } from '../curate/describe-index.js';
import { sequenceCalled } from '../curate/diff-index.js';
import { openKept } from '../curate/kept-versions.js';
import type { ManagedIndex } from '../curate/managed-index.js';
import { NearvoteError } from '../domain/errors.js';
import { shellWord } from '../domain/quoted.js';
import { isIndexUrl, parseIndexUrl } from '../postgres/index-url.js';
import { storedIndex } from './stored-index.js';
import { rootOf } from './which-index.js';

/** Where the index is that a command looks after. */
export interface ManagedFlags {
  readonly index?: string;
  readonly server?: string;
}

export function serverOption(): Option {
  return new Option(
    '--server <url>',
    'ask a server that runs, with its admin key in NEARVOTE_ADMIN_KEY; --index is then the name of one of its indexes',
  ).env('NEARVOTE_INDEX_SERVER');
}

export interface WhichManaged {
  readonly flags: ManagedFlags;
  readonly command: Command;
  /** As an argument, instead of --index. */
  readonly named?: string | undefined;
}

/**
 * The index in a server where one was named, the one in PostgreSQL where its URL was, else the one in a folder.
 * @throws NearvoteError `usage`, and as `whichIndex`
 */
export async function openManaged(which: WhichManaged): Promise<ManagedIndex> {
  const named = which.named ?? which.flags.index;
  const served = openServed(which);
  if (served !== undefined) return served;
  if (named !== undefined && isIndexUrl(named)) return storedIndex(parseIndexUrl(named));
  return folderIndex(await rootOf(named));
}

/** The index in a server; undefined where none was named. @throws NearvoteError `usage` */
export function openServed({ flags, command, named }: WhichManaged): ServerIndex | undefined {
  const { server, index } = flags;
  if (server === undefined) return undefined;
  return createServerIndex({ url: server, index: named ?? indexOfServer(command, index), ...adminKey() });
}

/** The options that name the same index to another command, with a space before each. */
export function sameIndex({ flags, command, named }: WhichManaged): string {
  const { server, index } = flags;
  const told = named ?? (server === undefined ? index : indexOfServer(command, index));
  return `${option('--server', server)}${option('--index', told)}`;
}

/** An option as it is typed, with a space before it; nothing where it has no value. */
export function option(name: string, value: string | undefined): string {
  return value === undefined ? '' : ` ${name} ${shellWord(value)}`;
}

/** A variable may name a folder of this machine. */
function indexOfServer(command: Command, index: string | undefined): string | undefined {
  return command.getOptionValueSource('index') === 'cli' ? index : undefined;
}

/** Whoever has one key for all has it in the variable of the other. */
function adminKey(): { readonly key?: string; readonly keyName: string } {
  for (const keyName of ['NEARVOTE_ADMIN_KEY', 'NEARVOTE_API_KEY']) {
    const key = process.env[keyName]?.trim();
    if (key !== undefined && key !== '') return { key, keyName };
  }
  return { keyName: 'NEARVOTE_ADMIN_KEY' };
}

function folderIndex(root: string): ManagedIndex {
  return {
    change: (request) => changeIndex({ root, request, now: () => new Date() }).catch(hinted),
    log: async (request) => {
      using kept = await openKept(root);
      return kept.journal?.log(request) ?? [];
    },
    describe: () => describeIndex(root),
    sequenceCalled: (state) => sequenceCalled(root, state),
  };
}

/** Says whom to ask where a server has the right to change the index. @throws the error itself otherwise */
export function hinted(error: unknown): never {
  if (!(error instanceof NearvoteError) || error.code !== 'index_readonly') throw error;
  const hint =
    'where that is a server, --server URL asks it instead, with its admin key in NEARVOTE_ADMIN_KEY';
  throw new NearvoteError(error.code, `${error.message}; ${hint}`, { cause: error });
}
