import { Command, Option } from 'commander';
import type { StateDifference } from '../curate/compare-states.js';
import type { BoundedDifference } from '../curate/look-aside.js';
import { diffIndex } from '../curate/diff-index.js';
import { counted } from '../evaluate/page/words.js';
import type { LoggedChange } from '../examples/journal-record.js';
import {
  openManaged,
  openServed,
  option,
  sameIndex,
  serverOption,
  type ManagedFlags,
} from './managed-index.js';
import { indexOption, integerFrom, jsonOption } from './options.js';
import { tableOf } from './output.js';
import { print, printable } from './printable.js';
import { rootOf } from './which-index.js';

interface LogFlags extends ManagedFlags {
  readonly limit: number;
  readonly before?: number;
  readonly id?: string;
  readonly json?: true;
}

export function logCommand(): Command {
  return new Command('log')
    .description('show what was changed in an index, the newest change first')
    .argument('[index]', 'its name or its folder; a bare name is that of an index in ./index')
    .addOption(indexOption())
    .addOption(serverOption())
    .addOption(
      new Option('--limit <n>', 'most changes that are shown')
        .argParser(integerFrom(1, 1_000_000))
        .default(20)
        .env('NEARVOTE_INDEX_LIMIT'),
    )
    .addOption(
      new Option('--before <sequence>', 'show only changes before this one: the next page')
        .argParser(integerFrom(1))
        .env('NEARVOTE_INDEX_BEFORE'),
    )
    .addOption(new Option('--id <id>', 'show only the changes of this example').env('NEARVOTE_INDEX_ID'))
    .addOption(jsonOption('print a JSON line for each change'))
    .addHelpText('after', '\nExample:\n  $ nearvote index log photos --limit 50\n')
    .action(async (named: string | undefined, flags: LogFlags, command: Command) => {
      const { limit, before, id, json } = flags;
      const index = await openManaged({ flags, command, named });
      // One more than is shown tells whether there are older ones.
      const found = await index.log({ limit: limit + 1, before, id });
      const changes = found.slice(0, limit);
      if (json === true) for (const change of changes) print(JSON.stringify(change));
      else print(changes.length === 0 ? 'No changes' : logTable(changes));
      const last = changes.at(-1);
      if (json === true || last === undefined || found.length === changes.length) return;
      const same = [
        option('--id', id),
        option('--limit', command.getOptionValueSource('limit') === 'default' ? undefined : String(limit)),
        sameIndex({ flags, command, named }),
      ].join('');
      print(printable(`Older changes: nearvote index log --before ${last.sequence}${same}`));
    });
}

function logTable(changes: readonly LoggedChange[]): string {
  const withSources = changes.some(({ source }) => source !== undefined);
  return tableOf({
    kind: 'table',
    title: '',
    columns: [
      { name: 'sequence', align: 'right' },
      { name: 'as one with', align: 'right' },
      { name: 'time' },
      { name: 'change' },
      { name: 'example' },
      { name: 'label' },
      ...(withSources ? [{ name: 'source' }] : []),
      { name: 'why, who' },
    ],
    rows: changes.map(({ sequence, operation, at, kind, id, was, label, source, reverts, reason, who }) => [
      String(sequence),
      operation === sequence ? '' : String(operation),
      at,
      reverts === null ? kind : `${kind}, takes back ${reverts}`,
      id,
      kind === 'relabel' ? `${was ?? ''} -> ${label ?? ''}` : (label ?? was ?? ''),
      ...(withSources ? [source ?? ''] : []),
      [reason, who].filter((said) => said !== null).join(', '),
    ]),
  });
}

interface DiffFlags extends ManagedFlags {
  readonly limit: number;
  readonly json?: true;
}

const diffExample = `
A and B are each a VERSION (the version as it was published), VERSION@SEQUENCE (that version with all changes up to that one) or
SEQUENCE (the index after that change; 0 is before the first). A version may be called by how it begins or ends.

Example:
  $ nearvote index diff 120 140 --index index/photos
`;

export function diffCommand(): Command {
  return new Command('diff')
    .description('show what was added, deleted and relabelled between two states of an index')
    .argument('<a>', 'the state before')
    .argument('<b>', 'the state after')
    .addOption(indexOption())
    .addOption(serverOption())
    .addOption(
      new Option('--limit <n>', 'most examples of each kind that are named')
        .argParser(integerFrom(0))
        .default(20)
        .env('NEARVOTE_INDEX_LIMIT'),
    )
    .addOption(jsonOption())
    .addHelpText('after', diffExample)
    .action(async (from: string, to: string, flags: DiffFlags, command: Command) => {
      const { index, limit, json } = flags;
      const served = openServed({ flags, command });
      const difference =
        served === undefined
          ? countedAll(await diffIndex({ root: await rootOf(index), from, to }))
          : await served.diff({ from, to, limit: json === true ? mostOfServer : limit });
      const { counts, ...told } = difference;
      if (json !== true) return print(differenceLines(difference, limit));
      print(JSON.stringify(served === undefined ? told : { ...told, counts }));
    });
}

/** A server names no more of each kind, and counts them all. */
const mostOfServer = 1_000;

function countedAll(difference: StateDifference): BoundedDifference {
  const { added, deleted, relabelled } = difference;
  const counts = { added: added.length, deleted: deleted.length, relabelled: relabelled.length };
  return { ...difference, counts };
}

function differenceLines({ from, to, labels, counts, ...kinds }: BoundedDifference, limit: number): string {
  const { added, deleted, relabelled } = kinds;
  const lines = [
    someOf(
      added.map(({ id, label, source }) => `+ ${id} ${label} ${source}`),
      { limit, of: counts.added },
    ),
    someOf(
      deleted.map(({ id, label, source }) => `- ${id} ${label} ${source}`),
      { limit, of: counts.deleted },
    ),
    someOf(
      relabelled.map(({ id, was, label, source }) => `~ ${id} ${was} -> ${label} ${source}`),
      { limit, of: counts.relabelled },
    ),
  ];
  return [
    `From ${from.version}@${from.sequence} to ${to.version}@${to.sequence}: ${counted(counts.added, 'example')} added, ${counts.deleted} deleted, ${counts.relabelled} relabelled`,
    ...(labels.length === 0 ? [] : [differenceTable(labels)]),
    ...lines.flat(),
  ].join('\n');
}

function someOf(
  lines: readonly string[],
  { limit, of }: { readonly limit: number; readonly of: number },
): string[] {
  const shown = lines.slice(0, limit);
  const more = of - shown.length;
  return [
    ...shown.map((line) => printable(line.trimEnd())),
    ...(more > 0 ? [`and ${more} more; --limit shows them, and --json all`] : []),
  ];
}

function differenceTable(labels: StateDifference['labels']): string {
  const names = ['before', 'added', 'deleted', 'gained', 'lost', 'after'] as const;
  return tableOf({
    kind: 'table',
    title: '',
    columns: [{ name: 'label' }, ...names.map((name) => ({ name, align: 'right' as const }))],
    rows: labels.map((one) => [one.label, ...names.map((name) => String(one[name]))]),
  });
}
