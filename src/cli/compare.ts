import { Command, Option } from 'commander';
import { compare, type Comparison } from '../evaluate/compare.js';
import { classesTable, mcnemarTable, pairedTable } from '../evaluate/page/compare-page.js';
import { renderPage } from '../report/render-page.js';
import {
  imageLimitOptions,
  type ImageLimitOptions,
  inferenceOptions,
  type InferenceOptions,
  integerFrom,
  isSet,
  mapPointsOption,
  splitOption,
  settingsOf,
  voteOptions,
  type VoteOptions,
} from './options.js';
import { checkWritable, createProgress, tableOf, writeOutput } from './output.js';
import { print } from './printable.js';

interface CompareFlags extends InferenceOptions, VoteOptions, ImageLimitOptions {
  readonly data: string;
  readonly split: 'train' | 'test';
  readonly examples?: string;
  readonly examplesSplit: 'train' | 'test';
  readonly models: string;
  readonly report?: string;
  readonly mapPoints: number;
  readonly seed: number;
  readonly json?: true;
}

export function compareCommand(): Command {
  const command = new Command('compare')
    .description('measure two indexes, or two encoders, on the same labelled images')
    .argument('<a>', 'an index, or an encoder')
    .argument('<b>', 'another of the same kind')
    .addHelpText(
      'after',
      '\nExample:\n  $ nearvote compare models/supcon models/cross-entropy --examples photos --data validation --report report.html\n',
    )
    .action(compareTwo);
  for (const option of compareOptions()) command.addOption(option);
  return command;
}

function compareOptions(): Option[] {
  return [
    new Option(
      '--data <path>',
      'labelled images: a folder for each class, a .csv or .jsonl list, or the CIFAR binary files',
    )
      .env('NEARVOTE_COMPARE_DATA')
      .makeOptionMandatory(),
    splitOption('--split <split>', 'which CIFAR files are read', 'test').env('NEARVOTE_COMPARE_SPLIT'),
    new Option('--examples <path>', 'labelled images that two encoders look the data up among').env(
      'NEARVOTE_COMPARE_EXAMPLES',
    ),
    splitOption('--examples-split <split>', 'which CIFAR files of it are read', 'train').env(
      'NEARVOTE_COMPARE_EXAMPLES_SPLIT',
    ),
    new Option('--models <dir>', 'folder of the encoders of two indexes')
      .default('models')
      .env('NEARVOTE_MODELS'),
    new Option('--report <file>', 'also write the report to this file, as one HTML page').env(
      'NEARVOTE_COMPARE_REPORT',
    ),
    mapPointsOption('images on the maps of the page').env('NEARVOTE_COMPARE_MAP_POINTS'),
    new Option('--seed <n>', 'seed of intervals and maps')
      .argParser(integerFrom(0))
      .default(0)
      .env('NEARVOTE_COMPARE_SEED'),
    new Option('--json', 'print the report as JSON').env('NEARVOTE_JSON'),
    ...[...inferenceOptions(), ...voteOptions(), ...imageLimitOptions()],
  ];
}

async function compareTwo(a: string, b: string, flags: CompareFlags, command: Command): Promise<void> {
  if (flags.report !== undefined) await checkWritable(flags.report);
  const choice = {
    vote: settingsOf(flags),
    clampK: !isSet(command, 'k'),
    page: flags.report !== undefined,
  };
  const comparison = await compare({ ...flags, ...choice, a, b }, createProgress());
  if (flags.report !== undefined && comparison.page !== undefined) {
    await writeOutput(flags.report, renderPage(comparison.page));
  }
  if (flags.json) {
    const { report, dataset, warnings } = comparison;
    const figures = { ...report, answers: undefined, dataset, seed: flags.seed, warnings };
    print(JSON.stringify({ a, b, ...figures }, null, 2));
  } else {
    print(summaryOf(comparison));
  }
}

/** A comparison in words, for a terminal. */
function summaryOf({ headline, report, warnings }: Comparison): string {
  return [
    headline,
    tableOf(pairedTable(report)),
    tableOf(mcnemarTable(report)),
    tableOf(classesTable(report)),
    'Differences are B - A in percentage points, with 95 % intervals.',
    ...warnings.map((warning) => `Warning: ${warning}`),
  ].join('\n');
}
