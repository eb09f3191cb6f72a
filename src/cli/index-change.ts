import { availableParallelism } from 'node:os';
import { Command, Option } from 'commander';
import { compactIndex } from '../build/compact.js';
import type { EditRequest, FoldedVersion, ManagedIndex } from '../curate/managed-index.js';
import { counted } from '../evaluate/page/words.js';
import { NearvoteError } from '../domain/errors.js';
import { indexOption, integerFrom, jsonOption } from './options.js';
import { createProgress } from './output.js';
import { changedLines } from './changed-lines.js';
import { openManaged, openServed, sameIndex, serverOption, type ManagedFlags } from './managed-index.js';
import { print, printable } from './printable.js';
import { rootOf } from './which-index.js';

export interface ChangeFlags extends ManagedFlags {
  readonly reason?: string;
  readonly who?: string;
  readonly json?: true;
}

/** What each command asks for, without who asks and why. */
type Asked = EditRequest extends infer Request
  ? Request extends EditRequest
    ? Omit<Request, 'reason' | 'who'>
    : never
  : never;

export function relabelCommand(): Command {
  return changing(
    new Command('relabel'),
    '$ nearvote index relabel 3f2a9c01d4e5b6a7c8d9 lynx --index index/photos',
  )
    .description('give an example another label')
    .argument('<id>', 'the id of the example, as classify and list name it')
    .argument('<label>', 'the label it is to have')
    .action((id: string, label: string, flags: ChangeFlags, command: Command) =>
      change({ kind: 'edit', acts: [{ kind: 'relabel', id, label }] }, flags, command),
    );
}

export function deleteCommand(): Command {
  return changing(
    new Command('delete'),
    '$ nearvote index delete 3f2a9c01d4e5b6a7c8d9 --reason "wrong picture"',
  )
    .description('delete examples, as one change')
    .argument('<id...>', 'the ids of the examples')
    .action((ids: readonly string[], flags: ChangeFlags, command: Command) =>
      change({ kind: 'edit', acts: ids.map((id) => ({ kind: 'delete', id })) }, flags, command),
    );
}

export function renameCommand(): Command {
  return changing(new Command('rename'), '$ nearvote index rename kitten cat --index index/photos')
    .description(
      'give all examples of a label another one, as one change; where that is there, the two are merged',
    )
    .argument('<from>', 'the label they have')
    .argument('<to>', 'the label they are to have')
    .action((from: string, to: string, flags: ChangeFlags, command: Command) =>
      change({ kind: 'rename', from, to }, flags, command),
    );
}

export function revertCommand(): Command {
  return changing(new Command('revert'), '$ nearvote index revert 128 --index index/photos')
    .description('take a change back, with all that was made as one with it; that is a change too')
    .argument('<sequence>', 'its number, as log shows it', integerFrom(1))
    .action((sequence: number, flags: ChangeFlags, command: Command) =>
      change({ kind: 'revert', sequence }, flags, command),
    );
}

export function rollbackCommand(): Command {
  return changing(new Command('rollback'), '$ nearvote index rollback 120 --index index/photos')
    .description(
      'take back everything after a change, as one change that can be taken back too; what a build published stays',
    )
    .argument('<state>', 'a sequence number, 0 for before the first change, or a version that is kept')
    .action(async (state: string, flags: ChangeFlags, command: Command) => {
      const index = await openManaged({ flags, command });
      const sequence = await index.sequenceCalled(state);
      await ask(index, { kind: 'rollback', sequence }, { flags, command });
    });
}

export function compactCommand(): Command {
  return new Command('compact')
    .description(
      'fold the changes since the version into a new one and publish it; a server does so by itself, or with --server now',
    )
    .argument('[index]', 'its name or its folder; a bare name is that of an index in ./index')
    .addOption(indexOption())
    .addOption(serverOption())
    .addOption(
      new Option('--keep <n>', 'number of old versions to keep')
        .argParser(integerFrom(0))
        .default(3)
        .env('NEARVOTE_INDEX_KEEP'),
    )
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ nearvote index compact photos\n')
    .action(compact);
}

interface CompactFlags extends ManagedFlags {
  readonly keep: number;
  readonly json?: true;
}

async function compact(named: string | undefined, flags: CompactFlags, command: Command): Promise<void> {
  const report = await fold(named, flags, command);
  const { name, version, sequence, examples, changed, refused } = report;
  const headline = changed ? 'Published' : 'Nothing changed since it was built:';
  const why = refused === undefined ? '' : `\n${refused}`;
  print(
    flags.json === true
      ? JSON.stringify(report)
      : printable(
          `${headline} ${name} ${version}: ${counted(examples, 'example')}, all changes up to ${sequence}${why}`,
        ),
  );
}

async function fold(
  named: string | undefined,
  flags: CompactFlags,
  command: Command,
): Promise<FoldedVersion> {
  const served = openServed({ flags, command, named });
  if (served !== undefined) {
    if (command.getOptionValueSource('keep') !== 'cli') return served.compact();
    throw new NearvoteError('usage', "Expected no --keep with --server, for it is the server's");
  }
  const progress = createProgress();
  try {
    const root = await rootOf(named ?? flags.index);
    const threads = availableParallelism();
    return await compactIndex({ root, keep: flags.keep, threads, progress, now: () => new Date() });
  } finally {
    progress.finish();
  }
}

/** What every command that changes an index is told beside what it is to change. */
export function changing(command: Command, example: string): Command {
  return command
    .addOption(indexOption())
    .addOption(serverOption())
    .addOption(new Option('--reason <text>', 'why, for the log').env('NEARVOTE_INDEX_REASON'))
    .addOption(new Option('--who <name>', 'who asks for it, for the log').env('NEARVOTE_INDEX_WHO'))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `\nWhile a server may change the index this command is refused: --server asks the server instead.\n\nExample:\n  ${example}\n`,
    );
}

async function change(asked: Asked, flags: ChangeFlags, command: Command): Promise<void> {
  await ask(await openManaged({ flags, command }), asked, { flags, command });
}

interface Told {
  readonly flags: ChangeFlags;
  readonly command: Command;
}

async function ask(index: ManagedIndex, asked: Asked, told: Told): Promise<void> {
  const { json, reason, who } = told.flags;
  const changed = await index.change({ ...asked, reason: reason ?? null, who: who ?? null });
  print(json === true ? JSON.stringify(changed) : changedLines(changed, sameIndex(told)));
}
