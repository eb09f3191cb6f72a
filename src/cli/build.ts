import Table from 'cli-table3';
import { Command, InvalidArgumentError, Option } from 'commander';
import { build } from '../build/build.js';
import type { BuildReport } from '../build/build-report.js';
import { counted, percent } from '../evaluate/page/words.js';
import {
  imageLimitOptions,
  type ImageLimitOptions,
  inferenceOptions,
  type InferenceOptions,
  integerFrom,
  numberAbove,
} from './options.js';
import { createProgress, noRules } from './output.js';
import { print, printable } from './printable.js';

interface BuildFlags extends InferenceOptions, ImageLimitOptions {
  readonly data: string;
  readonly encoder: string;
  readonly out: string;
  readonly split: 'train' | 'test';
  readonly m: number;
  readonly efConstruction: number;
  readonly ef: number;
  readonly seed: number;
  readonly maxPerClass?: number;
  readonly minRecall?: number;
  readonly maxRejects: number;
  readonly strict?: true;
  readonly dropChanges?: true;
  readonly keep: number;
  readonly json?: true;
}

export function buildCommand(): Command {
  const command = new Command('build')
    .description('build an index of labelled images and publish it')
    .addHelpText(
      'after',
      '\nExample:\n  $ nearvote build --data photos --encoder models/cifar10-compact --out index/photos\n\nphotos holds a folder for each class; a .csv or .jsonl list of path,label and the CIFAR binary files work too.\n',
    )
    .action(buildAndPrint);
  const options = [...buildOptions(), ...graphOptions(), ...inferenceOptions(), ...imageLimitOptions()];
  for (const option of options) command.addOption(option);
  return command;
}

function buildOptions(): Option[] {
  return [
    new Option(
      '--data <path>',
      'labelled images: a folder for each class, a .csv or .jsonl list, or the CIFAR binary files',
    )
      .makeOptionMandatory()
      .env('NEARVOTE_BUILD_DATA'),
    new Option('--encoder <dir>', 'folder of the encoder that embeds the images')
      .makeOptionMandatory()
      .env('NEARVOTE_BUILD_ENCODER'),
    new Option('--out <dir>', 'folder to write the index to, which names it')
      .makeOptionMandatory()
      .env('NEARVOTE_BUILD_OUT'),
    new Option('--split <name>', 'which files of a CIFAR dataset are read')
      .choices(['train', 'test'])
      .default('train')
      .env('NEARVOTE_BUILD_SPLIT'),
    new Option('--max-per-class <n>', 'most images of each label, chosen by seed')
      .argParser(integerFrom(1))
      .env('NEARVOTE_BUILD_MAX_PER_CLASS'),
    new Option('--strict', 'fail at the first image that is rejected').env('NEARVOTE_BUILD_STRICT'),
    new Option('--max-rejects <share>', 'share of rejected images above which nothing is published')
      .argParser(shareOf)
      .default(0.1)
      .env('NEARVOTE_BUILD_MAX_REJECTS'),
    new Option('--keep <n>', 'number of old versions to keep')
      .argParser(integerFrom(0))
      .default(2)
      .env('NEARVOTE_BUILD_KEEP'),
    new Option(
      '--drop-changes',
      'leave out what the index was taught since it was built; without it such an index is not built anew',
    ).env('NEARVOTE_BUILD_DROP_CHANGES'),
    new Option('--json', 'print the report as JSON').env('NEARVOTE_JSON'),
  ];
}

/** Of the graph of an index, and the recall that it must have. */
export function graphOptions(): Option[] {
  return [
    new Option('--m <n>', 'links of each node of the HNSW graph')
      .argParser(integerFrom(2))
      .default(16)
      .env('NEARVOTE_BUILD_M'),
    new Option('--ef-construction <n>', 'breadth of the search while the HNSW graph is built')
      .argParser(integerFrom(1))
      .default(200)
      .env('NEARVOTE_BUILD_EF_CONSTRUCTION'),
    new Option('--ef <n>', 'breadth of a search in the HNSW graph')
      .argParser(integerFrom(1))
      .default(64)
      .env('NEARVOTE_BUILD_EF'),
    new Option('--seed <n>', 'seed of every random choice')
      .argParser(integerFrom(0))
      .default(1)
      .env('NEARVOTE_BUILD_SEED'),
    new Option(
      '--min-recall <share>',
      'index recall@20 below which nothing is published; unless given, an index below 0.99 is published for exact search',
    )
      .argParser(numberAbove(0))
      .env('NEARVOTE_BUILD_MIN_RECALL'),
  ];
}

/** Parses a share, 0 to 1, for commander. */
function shareOf(value: string): number {
  const share = Number(value);
  if (value.trim() !== '' && share >= 0 && share <= 1) return share;
  throw new InvalidArgumentError('Expected a share from 0 to 1.');
}

async function buildAndPrint(flags: BuildFlags): Promise<void> {
  const { m, efConstruction, ef, seed } = flags;
  const progress = createProgress();
  try {
    const hnsw = { m, efConstruction, ef, seed };
    const strict = flags.strict === true;
    const report = await build({ ...flags, hnsw, strict, now: () => new Date() }, progress);
    print(flags.json === true ? JSON.stringify(report) : buildSummary(report));
  } finally {
    progress.finish();
  }
}

/** A build's report for people. */
function buildSummary(report: BuildReport): string {
  const { name, version, examples, manifest, embedded, fromCache, rejected, recall } = report;
  const [reject] = report.firstRejects;
  // Of what was decoded and encoded; what came from the cache took no time worth a rate.
  const rate = embedded === 0 ? '' : `, ${(embedded / report.embedSeconds).toFixed(0)} images/s`;
  const headline = report.changed ? 'Published' : 'Nothing changed:';
  return [
    `${headline} ${name} ${version}: ${counted(examples, 'example')} of ${counted(manifest.labels.length, 'label')}, dimension ${manifest.dimension}`,
    `${embedded} embedded, ${fromCache} from the cache, ${rejected} rejected`,
    ...(reject === undefined
      ? []
      : [printable(`Rejected: ${reject}; all are in ${report.dir}/rejects.jsonl`)]),
    `${report.seconds.toFixed(1)} s, of which embedding ${report.embedSeconds.toFixed(1)} s${rate}`,
    recall === null
      ? 'Search is exact'
      : `Index recall@${recall.k} ${recall.value.toFixed(4)} over ${recall.queries} queries`,
    ...accuracyLines(report),
    ...report.warnings.map((warning) => `Warning: ${warning}`),
  ].join('\n');
}

function accuracyLines({ leaveOneOut, trainedOn, examples }: BuildReport): string[] {
  const { accuracy, k, queries, perClass, confusions } = leaveOneOut;
  const caution =
    trainedOn === 0
      ? ''
      : ` (optimistic: the encoder was trained on ${trainedOn} of the ${examples} examples)`;
  const classes = new Table({
    head: ['label', 'examples', 'accuracy'],
    style: { head: [], border: [] },
    chars: noRules,
  });
  for (const { label, count, accuracy: share } of perClass)
    classes.push([printable(label), count, percent(share)]);
  const pairs = confusions.map(({ truth, predicted, count }) =>
    printable(`  ${truth} taken for ${predicted}: ${count}`),
  );
  return [
    `Leave-one-out accuracy at k = ${k} over ${queries} examples: ${percent(accuracy)}${caution}`,
    classes.toString(),
    ...(pairs.length > 0 ? ['Most confused:', ...pairs] : []),
  ];
}
