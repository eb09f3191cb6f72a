import Table from 'cli-table3';
import { Command, Option } from 'commander';
import { evaluate, type Evaluation } from '../evaluate/evaluate.js';
import {
  accuracyTable,
  calibratedTable,
  figuresTable,
  measuredOn,
  unknownTable,
} from '../evaluate/page/tables.js';
import { percent, voteWords } from '../evaluate/page/words.js';
import { renderPage } from '../report/render-page.js';
import {
  imageLimitOptions,
  type ImageLimitOptions,
  inferenceOptions,
  type InferenceOptions,
  integerFrom,
  isSet,
  mapPointsOption,
  pairOptions,
  type PairOptions,
  splitOption,
  voteChoice,
  voteOptions,
  type VoteOptions,
} from './options.js';
import { checkWritable, createProgress, noRules, tableOf, writeOutput } from './output.js';
import { print, printable } from './printable.js';
import { sayWhichVersion } from './which-index.js';

interface EvaluateFlags extends PairOptions, InferenceOptions, VoteOptions, ImageLimitOptions {
  readonly data: string;
  readonly split: 'train' | 'test';
  readonly ood?: string;
  readonly examples?: string;
  readonly examplesSplit: 'train' | 'test';
  readonly report?: string;
  readonly mapPoints: number;
  readonly seed: number;
  readonly predictions?: string;
  readonly json?: true;
}

export function evaluateCommand(): Command {
  const command = new Command('evaluate')
    .description('measure an index on labelled images it does not hold')
    .addHelpText(
      'after',
      '\nExample:\n  $ nearvote evaluate --data validation --index index/photos --examples photos --report report.html\n',
    )
    .action(evaluateIndex);
  for (const option of evaluateOptions()) command.addOption(option);
  return command;
}

function evaluateOptions(): Option[] {
  return [
    new Option(
      '--data <path>',
      'labelled images: a folder for each class, a .csv or .jsonl list, or the CIFAR binary files',
    )
      .env('NEARVOTE_EVALUATE_DATA')
      .makeOptionMandatory(),
    splitOption('--split <split>', 'which CIFAR files are read', 'test').env('NEARVOTE_EVALUATE_SPLIT'),
    new Option(
      '--ood <path>',
      'images of no label of the index, in a folder or in folders: how well they are told from the data',
    ).env('NEARVOTE_EVALUATE_OOD'),
    new Option('--report <file>', 'also write the report to this file, as one HTML page').env(
      'NEARVOTE_EVALUATE_REPORT',
    ),
    new Option('--examples <path>', 'the dataset the index was built from, to show its pictures').env(
      'NEARVOTE_EVALUATE_EXAMPLES',
    ),
    splitOption('--examples-split <split>', 'which CIFAR files of --examples are read', 'train').env(
      'NEARVOTE_EVALUATE_EXAMPLES_SPLIT',
    ),
    mapPointsOption('images on the map of the page').env('NEARVOTE_EVALUATE_MAP_POINTS'),
    new Option('--seed <n>', 'seed of intervals, clusters and the map')
      .argParser(integerFrom(0))
      .default(0)
      .env('NEARVOTE_EVALUATE_SEED'),
    new Option(
      '--predictions <file>',
      'also write a JSON line for each image to this file: id, label, predicted',
    ).env('NEARVOTE_PREDICTIONS'),
    new Option('--json', 'print the report as JSON').env('NEARVOTE_JSON'),
    ...[...pairOptions(), ...inferenceOptions(), ...voteOptions(), ...imageLimitOptions()],
  ];
}

async function evaluateIndex(flags: EvaluateFlags, command: Command): Promise<void> {
  for (const file of [flags.report, flags.predictions]) if (file !== undefined) await checkWritable(file);
  const choice = {
    vote: voteChoice(flags, command),
    clampK: !isSet(command, 'k'),
    page: flags.report !== undefined,
  };
  const evaluation = await evaluate(
    { ...flags, ...choice, index: await sayWhichVersion(flags.index) },
    createProgress(),
  );
  if (flags.predictions !== undefined) await writeOutput(flags.predictions, predictions(evaluation));
  if (flags.report !== undefined && evaluation.page !== undefined) {
    await writeOutput(flags.report, renderPage(evaluation.page));
  }
  print(flags.json ? asJson(evaluation, flags.seed) : summaryOf(evaluation));
}

function predictions({ embedded, report }: Evaluation): string {
  const lines = embedded.images.map(({ id, label }, i) =>
    JSON.stringify({ id, label, predicted: report.answers[i]?.label }),
  );
  return `${lines.join('\n')}\n`;
}

function asJson(evaluation: Evaluation, seed: number): string {
  const { dataset, embedded, vote, report, unknown, calibrated, warnings } = evaluation;
  const { imagesPerSecond, rejected, trainedOn } = embedded;
  // A label an image is a file of its own: --predictions.
  const figures = { ...report, answers: undefined, found: undefined };
  const others = { unknown: unknown && { ...unknown, answers: undefined }, calibrated };
  const all = { dataset, imagesPerSecond, rejected, trainedOn, vote, ...figures, ...others, seed, warnings };
  return JSON.stringify(all, null, 2);
}

/** An evaluation in words, for a terminal. */
function summaryOf(evaluation: Evaluation): string {
  const { report, unknown, calibrated, embedded, dataset, vote, warnings } = evaluation;
  const classes = new Table({
    head: ['label', 'images', 'precision', 'recall', 'F1'],
    style: { head: [], border: [] },
    chars: noRules,
  });
  for (const { label, count, precision, recall, f1 } of report.classes) {
    classes.push([printable(label), count, ...[precision, recall, f1].map(percent)]);
  }
  const { searchMsPerQuery: ms } = report;
  return [
    `${report.queries} images of ${dataset} against ${report.examples} examples, ${voteWords(vote)}`,
    tableOf(accuracyTable(report)),
    tableOf(figuresTable(report)),
    ...(calibrated === undefined
      ? []
      : [`calibrated confidence. ${measuredOn(calibrated)}`, tableOf(calibratedTable(calibrated))]),
    `at the served k = ${report.served.k}: ${percent(report.served.accuracy)}, per class`,
    classes.toString(),
    ...report.confusions.map(
      ({ truth, predicted, count }) => `${truth} taken for ${predicted}: ${count} of them`,
    ),
    ...(unknown === undefined ? [] : [`${unknown.images} unknown images`, tableOf(unknownTable(unknown))]),
    ...(report.indexRecall === undefined
      ? ['search is exact: hnswlib-node is not built, or --search exact']
      : []),
    `${embedded.imagesPerSecond.toFixed(0)} images/s decoded and embedded; search ms a query: ` +
      (ms.hnsw === undefined ? '' : `HNSW ${ms.hnsw.toFixed(3)}, `) +
      `exact ${ms.exact.toFixed(3)}`,
    ...warnings.map((warning) => `Warning: ${warning}`),
  ].join('\n');
}
