import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { compactIndex } from '../build/compact.js';
import { exportIndex } from '../curate/export-index.js';
import { importIndex } from '../curate/import-index.js';
import { openKept, sequenceOf } from '../curate/kept-versions.js';
import { counted } from '../evaluate/page/words.js';
import { NearvoteError } from '../domain/errors.js';
import { findEncoder } from '../pair.js';
import type { ServerIndex } from '../client/server-index.js';
import { openServed, serverOption, type ManagedFlags } from './managed-index.js';
import { indexOption, integerFrom, jsonOption } from './options.js';
import { createProgress } from './output.js';
import { print, printable, printError } from './printable.js';
import { indexNamed, rootOf } from './which-index.js';

interface ExportFlags extends ManagedFlags {
  readonly out: string;
  readonly models: string;
  readonly withEncoder?: true;
  readonly asPublished?: true;
  readonly keep: number;
  readonly json?: true;
}

const modelsOption = (what: string): Option =>
  new Option('--models <dir>', what).default('models').env('NEARVOTE_MODELS');
const keepOption = (): Option =>
  new Option('--keep <n>', 'number of old versions to keep')
    .argParser(integerFrom(0))
    .default(3)
    .env('NEARVOTE_INDEX_KEEP');

export function exportCommand(): Command {
  return new Command('export')
    .description(
      'write an index as one file that is called by its sha256; changes since its version are folded into a new one first',
    )
    .argument('[index]', 'its name or its folder; a bare name is that of an index in ./index')
    .addOption(indexOption())
    .addOption(serverOption())
    .addOption(new Option('--out <dir>', 'folder that the bundle is written to').default('.'))
    .addOption(new Option('--with-encoder', 'put the encoder into it too'))
    .addOption(modelsOption('folder in which that encoder is looked for by its name'))
    .addOption(
      new Option('--as-published', 'leave out the changes since its version, and change nothing here'),
    )
    .addOption(keepOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ nearvote index export photos --out bundles --with-encoder\n')
    .action(exportAs);
}

async function exportAs(named: string | undefined, flags: ExportFlags, command: Command): Promise<void> {
  const served = openServed({ flags, command, named });
  if (served !== undefined) return exportServed(served, flags, command);
  const root = await rootOf(named ?? flags.index);
  const since = await changesSince(root);
  if (since > 0 && flags.asPublished === true) printError(`${since} changes since the version are left out`);
  if (since > 0 && flags.asPublished !== true) await fold(root, flags.keep);
  const exported = await exportIndex({
    ...{ root, out: flags.out },
    encoderOf:
      flags.withEncoder === true
        ? async (published) => (await findEncoder(published, flags.models)).encoderDir
        : undefined,
  });
  const { path, name, version, examples, sequence, bytes } = exported;
  if (flags.json === true) return print(JSON.stringify(exported));
  print(printable(path));
  print(
    printable(
      `${name} ${version}: ${counted(examples, 'example')}, all changes up to ${sequence}, ${bytes} bytes`,
    ),
  );
}

async function exportServed(served: ServerIndex, flags: ExportFlags, command: Command): Promise<void> {
  refuseOptions(command, ['models', 'keep']);
  const { out, withEncoder, asPublished, json } = flags;
  const fetched = await served.exportTo({
    ...{ out, withEncoder: withEncoder === true, asPublished: asPublished === true },
  });
  if (json === true) return print(JSON.stringify(fetched));
  print(printable(fetched.path));
  print(`${fetched.bytes} bytes`);
}

/** @throws NearvoteError `usage` for what is a server's own to say */
function refuseOptions(command: Command, names: readonly string[]): void {
  const told = names.find((name) => command.getOptionValueSource(name) === 'cli');
  if (told === undefined) return;
  throw new NearvoteError('usage', `Expected no --${told} with --server, for it is the server's`);
}

async function changesSince(root: string): Promise<number> {
  using kept = await openKept(root);
  return kept.sequence - sequenceOf(kept.current);
}

async function fold(root: string, keep: number): Promise<void> {
  const progress = createProgress();
  try {
    const threads = availableParallelism();
    await compactIndex({ root, keep, threads, progress, now: () => new Date() });
  } catch (error) {
    if (!(error instanceof NearvoteError) || error.code !== 'output_unwritable') throw error;
    const hint = '--as-published exports the version without the changes since';
    throw new NearvoteError(error.code, `${error.message}; ${hint}`, { cause: error });
  } finally {
    progress.finish();
  }
}

interface ImportFlags extends ManagedFlags {
  readonly models: string;
  readonly replace?: true;
  readonly sha256?: string;
  readonly keep: number;
  readonly json?: true;
}

export function importCommand(): Command {
  return new Command('import')
    .description('make an index of a bundle that export wrote, once all of it was checked')
    .argument('<file>', 'the bundle')
    .argument('[name]', 'name or folder of the index; the name that it had unless told')
    .addOption(
      new Option('--sha256 <hex>', 'what the file has to hash to; what its name says unless told').argParser(
        parseDigest,
      ),
    )
    .addOption(serverOption())
    .addOption(new Option('--index <name>', 'the index of the server that it becomes').env('NEARVOTE_INDEX'))
    .addOption(new Option('--replace', 'publish it as the next version of an index that is there'))
    .addOption(modelsOption('folder of encoders that an encoder in the bundle goes to'))
    .addOption(keepOption())
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ nearvote index import photos-5f1c….tar\n')
    .action(importFrom);
}

function parseDigest(value: string): string {
  if (/^[0-9a-f]{64}$/i.test(value)) return value.toLowerCase();
  throw new InvalidArgumentError('Expected a sha256 of 64 hexadecimal digits.');
}

async function importFrom(
  file: string,
  name: string | undefined,
  { json, replace, ...flags }: ImportFlags,
  command: Command,
): Promise<void> {
  const served = openServed({ flags, command, named: name });
  if (served !== undefined) {
    refuseOptions(command, ['models', 'keep']);
    const sha256 = flags.sha256 ?? /-([0-9a-f]{64})\.tar$/.exec(file)?.[1];
    const sent = await served.importFrom({ file, sha256, replace: replace === true });
    print(
      json === true
        ? JSON.stringify(sent)
        : printable(
            sent.changed
              ? `Published ${sent.name} ${sent.version}: ${sent.examples} examples; before it was ${sent.former}`
              : `The server already has ${sent.name} ${sent.version} as in this bundle: ${sent.examples} examples; nothing was published`,
          ),
    );
    return;
  }
  const root = (own: string): string => (name === undefined ? join('index', own) : indexNamed(name));
  const imported = await importIndex({
    ...{ ...flags, file, root },
    replace: replace === true,
  }).catch(hinted);
  const { version, examples, encoder, wasExpected } = imported;
  if (!wasExpected) {
    printError('Nothing said what the file has to hash to: its name, or --sha256, tells whose it is');
  }
  const beside = encoder === undefined ? '' : `, its encoder is in ${encoder}`;
  print(
    json === true
      ? JSON.stringify({ ...imported, canaries: undefined })
      : printable(`Published ${imported.name} ${version}: ${examples} examples${beside}`),
  );
}

function hinted(error: unknown): never {
  if (!(error instanceof NearvoteError) || error.code !== 'index_readonly') throw error;
  const hint = 'stop the server that may change it first, or import under another name';
  throw new NearvoteError(error.code, `${error.message}; ${hint}`, { cause: error });
}
