import { Command, Option } from 'commander';
import { loadStored } from '../curate/load-stored.js';
import { counted } from '../evaluate/page/words.js';
import { parseIndexUrl } from '../postgres/index-url.js';
import { indexOption, jsonOption } from './options.js';
import { print, printable } from './printable.js';
import { rootOf } from './which-index.js';

interface LoadFlags {
  readonly index?: string;
  readonly to: string;
  readonly json?: true;
}

const help = `
A password belongs into PGPASSWORD or ~/.pgpass rather than into the URL, which other users of the machine can see.

Example:
  $ nearvote index load photos --to "postgres://nearvote@db.example/nearvote?name=photos"
  $ nearvote serve --index "postgres://nearvote@db.example/nearvote?name=photos"
`;

export function loadCommand(): Command {
  return new Command('load')
    .description('load what an index has published into PostgreSQL with pgvector, for servers to share')
    .argument('[index]', 'its name or its folder; a bare name is that of an index in ./index')
    .addOption(indexOption())
    .addOption(
      new Option('--to <url>', 'where it is to lie: postgres://USER@HOST/DATABASE?name=NAME')
        .makeOptionMandatory()
        .env('NEARVOTE_INDEX_TO'),
    )
    .addOption(jsonOption())
    .addHelpText('after', help)
    .action(async (named: string | undefined, { index, to, json }: LoadFlags) => {
      const url = parseIndexUrl(to);
      const loaded = await loadStored({ root: await rootOf(named ?? index), url, now: () => new Date() });
      const { examples, version } = loaded;
      print(
        json === true
          ? JSON.stringify(loaded)
          : printable(`Loaded ${counted(examples, 'example')} of ${version} into ${loaded.url}`),
      );
    });
}
