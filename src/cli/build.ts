import Table from 'cli-table3';
import { Command, InvalidArgumentError, Option } from 'commander';
import { build, type BuildOptions } from '../build/build.js';
import type { BuildReport } from '../build/build-report.js';
import { sync } from '../build/sync.js';
import { NearvoteError } from '../domain/errors.js';
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
import { buildInPartsAndPrint, isInParts, partOptions, type PartFlags } from './build-parts.js';
import { planLines, syncSummary } from './sync-summary.js';

interface BuildFlags extends InferenceOptions, ImageLimitOptions, PartFlags {
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
  readonly sync?: true;
  readonly dryRun?: true;
  readonly keepTaught?: true;
  readonly allowDeleteAll?: true;
  readonly reason?: string;
  readonly who?: string;
  readonly keep: number;
  readonly json?: true;
}

export function buildCommand(): Command {
  const command = new Command('build')
    .description('build an index of labelled images and publish it')
    .addHelpText(
      'after',
      '\nExample:\n  $ nearvote build --data photos --encoder models/cifar10-compact --out index/photos\n\nphotos holds a folder for each class; a .csv or .jsonl list of path,label and the CIFAR binary files work too.\n\nAfter the photos have changed, --sync changes the index as much as they have, and --dry-run says so before:\n  $ nearvote build --sync --dry-run --data photos --encoder models/cifar10-compact --out index/photos\n\nMany images are embedded by many processes, each a part of them, and then published by one:\n  $ nearvote build --shards 64 --shard 7 --data photos --encoder models/cifar10-compact --out index/photos\n  $ nearvote build --shards 64 --merge --data photos --encoder models/cifar10-compact --out index/photos\n',
    )
    .action((flags: BuildFlags) => {
      if (isInParts(flags)) {
        const json = flags.json === true;
        return buildInPartsAndPrint({ flags, options: optionsOf(flags), json, summaryOf: buildSummary });
      }
      return flags.sync === true ? syncAndPrint(flags) : buildAndPrint(flags);
    });
  const options = [
    ...buildOptions(),
    ...syncOptions(),
    ...partOptions(),
    ...graphOptions(),
    ...inferenceOptions(),
    ...imageLimitOptions(),
  ];
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
    )
      .env('NEARVOTE_BUILD_DROP_CHANGES')
      .conflicts('sync'),
    new Option('--json', 'print the report as JSON').env('NEARVOTE_JSON'),
  ];
}

function syncOptions(): Option[] {
  return [
    new Option(
      '--sync',
      'make the index equal to the images by one change that can be taken back, instead of building it anew; where there is none, build it',
    ).env('NEARVOTE_BUILD_SYNC'),
    new Option('--dry-run', 'say what --sync would change, and change nothing').env('NEARVOTE_BUILD_DRY_RUN'),
    new Option(
      '--keep-taught',
      'let --sync leave examples that the index was taught and that are not among the images',
    ).env('NEARVOTE_BUILD_KEEP_TAUGHT'),
    new Option(
      '--allow-delete-all',
      'let --sync delete every example that the index holds; without it such images are taken for the wrong ones',
    ).env('NEARVOTE_BUILD_ALLOW_DELETE_ALL'),
    new Option('--reason <text>', 'why, for the log of the index; for --sync').env('NEARVOTE_INDEX_REASON'),
    new Option('--who <name>', 'who asks for it, for the log of the index; for --sync').env(
      'NEARVOTE_INDEX_WHO',
    ),
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
  for (const [name, given] of [
    ['--dry-run', flags.dryRun],
    ['--keep-taught', flags.keepTaught],
    ['--allow-delete-all', flags.allowDeleteAll],
  ] as const) {
    if (given === true) throw new NearvoteError('usage', `Expected ${name} with --sync, whose option it is`);
  }
  const progress = createProgress();
  try {
    const report = await build(optionsOf(flags), progress);
    print(flags.json === true ? JSON.stringify(report) : buildSummary(report));
  } finally {
    progress.finish();
  }
}

function optionsOf(flags: BuildFlags): BuildOptions {
  const { m, efConstruction, ef, seed } = flags;
  const hnsw = { m, efConstruction, ef, seed };
  return { ...flags, hnsw, strict: flags.strict === true, now: () => new Date() };
}

async function syncAndPrint(flags: BuildFlags): Promise<void> {
  const { out, dryRun, keepTaught, allowDeleteAll, reason, who } = flags;
  const json = flags.json === true;
  const progress = createProgress();
  try {
    const { kind, report } = await sync(
      {
        ...optionsOf(flags),
        ...{ dryRun: dryRun === true, keepTaught: keepTaught === true },
        ...{ allowDeleteAll: allowDeleteAll === true, reason: reason ?? null, who: who ?? null },
        onPlan: (plan) => {
          progress.finish();
          if (!json) print(planLines(plan));
        },
      },
      progress,
    ).catch((error: unknown) => {
      if (!(error instanceof NearvoteError) || error.code !== 'index_readonly') throw error;
      const hint =
        'a server with an admin key holds the index: stop it meanwhile; one without a key only reads it, and follows what is changed here';
      throw new NearvoteError(error.code, `${error.message}; ${hint}`, { cause: error });
    });
    if (json) print(JSON.stringify(report));
    else print(kind === 'built' ? buildSummary(report) : syncSummary(report, out));
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
