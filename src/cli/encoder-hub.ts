import Table from 'cli-table3';
import { Command, Option } from 'commander';
import { inspectModel } from '../encoder/add/inspect.js';
import { inspectTfjs } from '../encoder/add/inspect-tfjs.js';
import { knownModels } from '../encoder/hub/known-models.js';
import { type Dtype, dtypes, pullEncoder } from '../encoder/hub/pull.js';
import { hubSettings } from '../encoder/hub/settings.js';
import { parseName, printManifest, variableOf } from './encoder-manifest.js';
import { createProgress, noRules } from './output.js';
import { print, printError } from './printable.js';

interface PullFlags {
  readonly dtype: Dtype;
  readonly name?: string;
  readonly licence?: string;
  readonly out?: string;
  readonly force?: true;
  readonly json?: true;
}

const pullHelp = `
What is downloaded is kept in the cache of Hugging Face's tools. HF_HOME or HF_HUB_CACHE say where that is, HF_ENDPOINT
another hub, HF_TOKEN who you are, HF_HUB_OFFLINE=1 that only the cache is to be used, and HF_HUB_DOWNLOAD_TIMEOUT after
how many silent seconds a connection counts as lost (30).

Example:
  $ nearvote encoder pull onnx-community/dinov2-small
  $ nearvote build --data photos --encoder models/dinov2-small --out index/photos
`;

export function pullCommand(): Command {
  const command = new Command('pull')
    .description("take an encoder from Hugging Face's hub, prove it on a run, and write models/NAME")
    .argument('<model>', 'OWNER/NAME, or OWNER/NAME@REVISION with a branch, tag or commit')
    .addHelpText('after', pullHelp)
    .action(pull);
  const options = [
    new Option('--dtype <type>', 'which of the files in onnx/ is taken').choices(dtypes).default('fp32'),
    new Option(
      '--name <name>',
      "name of the encoder (default: the repository's, with the dtype behind it where that is not fp32)",
    ).argParser(parseName),
    new Option('--licence <name>', 'licence to write down (default: that of the model card)'),
    new Option('--out <dir>', 'folder to write the encoder to (default: models/NAME)'),
    new Option('--force', 'replace the whole folder of an encoder that is there'),
    new Option('--json', 'print the manifest'),
  ];
  for (const option of options) command.addOption(option.env(variableOf(option)));
  return command;
}

async function pull(model: string, flags: PullFlags): Promise<void> {
  const { dtype, name, licence, out, force = false, json } = flags;
  const { manifest, dir } = await pullEncoder({
    ...{ model, dtype, name, licence, force, dir: out },
    settings: hubSettings(process.env),
    progress: createProgress(),
    note: printError,
  });
  printManifest(manifest, json);
  if (json !== true) print(`\nNext: npx nearvote build --data DIR --encoder ${dir} --out index/NAME`);
}

export function listCommand(): Command {
  const json = new Option('--json', 'print it as JSON');
  return new Command('list')
    .description('name models of the hub that encoder pull takes, with what they are for')
    .addOption(json.env(variableOf(json)))
    .addHelpText('after', '\nExample:\n  $ nearvote encoder list\n')
    .action((flags: { readonly json?: true }) => {
      if (flags.json === true) return print(JSON.stringify(knownModels));
      const head = ['model', 'size', 'dimension', 'MB', 'licence', 'what for'];
      const table = new Table({ head, style: { head: [], border: [] }, chars: noRules });
      for (const { repository, size, dimension, megabytes, licence, use } of knownModels) {
        table.push([repository, size, dimension, megabytes ?? '', licence, use]);
      }
      print(table.toString());
    });
}

export function inspectCommand(): Command {
  const json = new Option('--json', 'print it as JSON');
  return new Command('inspect')
    .description(
      'print what an ONNX or TensorFlow.js model takes and gives, and whether encoder add can take it',
    )
    .argument('<file>', 'the .onnx file, or the model.json of a TensorFlow.js model')
    .addOption(json.env(variableOf(json)))
    .addHelpText('after', '\nExample:\n  $ nearvote encoder inspect dinov2.onnx\n')
    .action(async (file: string, flags: { readonly json?: true }) => {
      const found = await (/\.json$/i.test(file) ? inspectTfjs(file) : inspectModel(file));
      if (flags.json === true) return print(JSON.stringify(found));
      const { format, inputs, outputs, inside, weightsIn, layout, size, refusedBecause } = found;
      const options = `--layout ${layout ?? 'LAYOUT'} --size ${size ?? 'SIZE'}${outputs.length > 1 ? ' --output OUTPUT' : ''}`;
      const lines = [
        ['format', format],
        ...inputs.map((one) => ['input', one]),
        ...outputs.map((one) => ['output', one]),
        ...inside.map((one) => ['inside', one]),
        ...weightsIn.map((one) => ['weights in', one]),
        refusedBecause === undefined
          ? ['encoder add', `takes it with ${options} --mean MEAN --std STD`]
          : ['encoder add', `does not take it: ${refusedBecause}`],
      ];
      for (const [key = '', value = ''] of lines) print(`${key.padEnd(11)}  ${value}`);
    });
}
