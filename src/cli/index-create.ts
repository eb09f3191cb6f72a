import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { Command, Option } from 'commander';
import { createIndex } from '../build/create-index.js';
import { verifyIndex, type VerifiedIndex } from '../curate/verify-index.js';
import { NearvoteError } from '../domain/errors.js';
import { counted } from '../evaluate/page/words.js';
import { graphOptions } from './build.js';
import { resolveShipped } from '../pair.js';
import { openServed, serverOption, type ManagedFlags } from './managed-index.js';
import { indexOption, jsonOption } from './options.js';
import { print, printable } from './printable.js';
import { indexNamed, rootOf } from './which-index.js';
import { namePattern, nameRule } from './which-indexes.js';

interface CreateFlags {
  readonly encoder: string;
  readonly m: number;
  readonly efConstruction: number;
  readonly ef: number;
  readonly seed: number;
  readonly json?: true;
}

export function createCommand(): Command {
  const command = new Command('create')
    .description('make an empty index of an encoder, to be taught by examples')
    .argument('<name>', 'its name, or its folder; a bare name is that of an index in ./index')
    .addOption(
      new Option('--encoder <dir>', 'folder of the encoder that will embed the examples')
        .makeOptionMandatory()
        .env('NEARVOTE_INDEX_ENCODER'),
    )
    .addOption(jsonOption())
    .addHelpText('after', '\nExample:\n  $ nearvote index create shop --encoder models/cifar10-compact\n')
    .action(async (name: string, { encoder, m, efConstruction, ef, seed, json }: CreateFlags) => {
      const out = indexNamed(name);
      checkName(basename(resolve(out)));
      const hnsw = { m, efConstruction, ef, seed };
      const created = await createIndex({ out, encoder, hnsw, now: () => new Date() });
      print(
        json === true
          ? JSON.stringify({ ...created, root: out })
          : printable(
              `Published ${created.name} ${created.version}: no examples yet, dimension ${created.dimension}, encoder ${created.encoder}`,
            ),
      );
    });
  for (const option of graphOptions()) if (option.long !== '--min-recall') command.addOption(option);
  return command;
}

/** @throws NearvoteError `usage` for a name that a server of several indexes could not call it by */
function checkName(name: string): void {
  if (namePattern.test(name)) return;
  throw new NearvoteError('usage', `Expected a name of ${nameRule} but received ${JSON.stringify(name)}`);
}

export function verifyCommand(): Command {
  return new Command('verify')
    .description(
      'check every hash, count and norm of an index and the journal of its changes, and make anew what follows from the rest',
    )
    .argument('[index]', 'its name or its folder; a bare name is that of an index in ./index')
    .addOption(indexOption())
    .addOption(serverOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      '\nIt exits with 1 where something is wrong that cannot be made anew.\n\nExample:\n  $ nearvote index verify photos\n',
    )
    .action(async (named: string | undefined, flags: VerifyFlags, command: Command) => {
      const served = openServed({ flags, command, named });
      const found = await (served === undefined ? verifyFolder(named ?? flags.index) : served.verify());
      print(flags.json === true ? JSON.stringify(found) : verifiedLines(found));
      if (found.defects.length > 0) process.exitCode = 1;
    });
}

interface VerifyFlags extends ManagedFlags {
  readonly json?: true;
}

async function verifyFolder(asked: string | undefined): Promise<VerifiedIndex> {
  // One that is there is looked at however broken it is.
  const there = asked === undefined ? undefined : resolveShipped(indexNamed(asked));
  return verifyIndex({ root: there !== undefined && existsSync(there) ? there : await rootOf(asked) });
}

function verifiedLines({ version, versions, changes, repaired, defects }: VerifiedIndex): string {
  const looked = `${counted(versions, 'version')} and ${counted(changes, 'change')} were looked at`;
  return [
    ...repaired.map((said) => printable(`Made anew: ${said}`)),
    ...defects.map((said) => printable(`Wrong: ${said}`)),
    defects.length === 0
      ? `All is well: ${looked}, version ${version ?? ''} is served`
      : `${counted(defects.length, 'defect')}: ${looked}`,
  ].join('\n');
}
