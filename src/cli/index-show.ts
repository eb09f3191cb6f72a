import { Command } from 'commander';
import { listIndexes, type IndexDescription, type ListedIndex } from '../curate/describe-index.js';
import { NearvoteError } from '../domain/errors.js';
import { counted } from '../evaluate/page/words.js';
import { resolveShipped } from '../pair.js';
import {
  openManaged,
  openServed,
  serverOption,
  type ManagedFlags,
  type WhichManaged,
} from './managed-index.js';
import { indexOption, jsonOption } from './options.js';
import { tableOf } from './output.js';
import { print, printable } from './printable.js';

export function listCommand(): Command {
  return new Command('list')
    .description('list the indexes in a folder: what each holds, and which encoder it was made with')
    .argument('[dir]', 'folder of indexes (default: index)')
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ nearvote index list\n')
    .action(async (asked: string | undefined, flags: ListFlags, command: Command) => {
      const { json } = flags;
      const dir = asked ?? 'index';
      if (asked !== undefined && flags.server !== undefined) {
        throw new NearvoteError('usage', 'Expected no folder with --server, which lists all of its indexes');
      }
      const listed =
        flags.server === undefined
          ? await listIndexes(resolveShipped(dir))
          : await listServed({ flags, command });
      print(json === true ? JSON.stringify(listed.map(flat)) : listedLines(listed, dir));
    });
}

interface ListFlags extends ManagedFlags {
  readonly json?: true;
}

async function listServed(which: WhichManaged): Promise<readonly ListedIndex[]> {
  const listed: ListedIndex[] = [];
  for (const name of (await openServed(which)?.names()) ?? []) {
    const described = await (await openManaged({ ...which, named: name })).describe();
    const { version, sequence, changesSince, examples, labels, encoder, dimension } = described;
    const counts = { sequence, changesSince, examples, labels };
    listed.push({ root: name, summary: { name, root: name, version, ...counts, encoder, dimension } });
  }
  return listed;
}

interface ShowFlags extends ManagedFlags {
  readonly json?: true;
}

export function showCommand(): Command {
  return new Command('show')
    .description(
      'show what an index is: its version, its examples by label, its encoder, and the versions kept',
    )
    .argument('[index]', 'its name or its folder; a bare name is that of an index in ./index')
    .addOption(indexOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ nearvote index show photos\n')
    .action(async (named: string | undefined, flags: ShowFlags, command: Command) => {
      const description = await (await openManaged({ flags, command, named })).describe();
      print(flags.json === true ? JSON.stringify(description) : descriptionLines(description));
    });
}

function flat(one: ListedIndex): object {
  if ('fault' in one) return one;
  const { labels, ...summary } = one.summary;
  return { ...summary, labels: labels.length };
}

function listedLines(listed: readonly ListedIndex[], dir: string): string {
  if (listed.length === 0) {
    return printable(
      `${dir} holds no index; make one: npx nearvote build --data DIR --encoder models/NAME --out ${dir}/NAME`,
    );
  }
  const summaries = listed.flatMap((one) => ('summary' in one ? [one.summary] : []));
  const faults = listed.flatMap((one) => ('fault' in one ? [printable(`${one.root}: ${one.fault}`)] : []));
  const table = tableOf({
    kind: 'table',
    title: '',
    columns: [
      { name: 'index' },
      { name: 'version' },
      { name: 'examples', align: 'right' },
      { name: 'labels', align: 'right' },
      { name: 'changes since', align: 'right' },
      { name: 'encoder' },
    ],
    rows: summaries.map(({ name, version, examples, labels, changesSince, encoder }) => [
      name,
      version,
      String(examples),
      String(labels.length),
      String(changesSince),
      `${encoder.name} ${encoder.version}`,
    ]),
  });
  return [...(summaries.length === 0 ? [] : [table]), ...faults].join('\n');
}

function descriptionLines(description: Omit<IndexDescription, 'root'>): string {
  const { name, version, sequence, changesSince, examples, labels, encoder } = description;
  const { dimension, search, dataset, versions, bytes } = description;
  const since =
    changesSince === 0 ? 'and nothing was changed since' : `with ${counted(changesSince, 'change')} since`;
  return [
    printable(`${name} ${version}, built of ${dataset}, ${since}: sequence ${sequence}`),
    `${counted(examples, 'example')} of ${counted(labels.length, 'label')}, dimension ${dimension}, ${search === 'hnsw' ? 'searched by a graph' : 'searched exactly'}`,
    printable(`Encoder ${encoder.name} ${encoder.version}, sha256 ${encoder.sha256}`),
    ...(labels.length === 0 ? [] : [labelTable(labels)]),
    ...(versions.length === 0 ? [] : [keptTable(versions, bytes)]),
  ].join('\n');
}

function keptTable(versions: IndexDescription['versions'], bytes: number): string {
  return [
    `Versions kept, ${megabytes(bytes)} with all that lies beside them`,
    tableOf({
      kind: 'table',
      title: '',
      columns: [
        { name: 'version' },
        { name: 'made' },
        { name: 'sequence', align: 'right' },
        { name: 'examples', align: 'right' },
        { name: 'size', align: 'right' },
      ],
      rows: versions.map((one) => [
        one.version,
        one.createdAt,
        String(one.sequence),
        String(one.examples),
        megabytes(one.bytes),
      ]),
    }),
  ].join('\n');
}

function labelTable(labels: IndexDescription['labels']): string {
  return tableOf({
    kind: 'table',
    title: '',
    columns: [{ name: 'label' }, { name: 'examples', align: 'right' }],
    rows: labels.map(({ label, examples }) => [label, String(examples)]),
  });
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(2)} MB`;
}
