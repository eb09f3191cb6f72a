import { writeFile } from 'node:fs/promises';
import Table from 'cli-table3';
import { Command, Option } from 'commander';
import { embedDataset, type EmbeddedDataset } from '../evaluate/embed-dataset.js';
import { evaluate, type EvaluateReport } from '../evaluate/evaluate.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { openSearcher } from '../neighbours/open-searcher.js';
import { labelSharesOf } from '../vote/prior.js';
import { openPair } from './open-pair.js';
import { imageLimitOptions, inferenceOptions, pairOptions, voteOptions } from './options.js';
import type { ImageLimitOptions, InferenceOptions, PairOptions, VoteOptions } from './options.js';
import { createProgress } from './progress.js';

interface EvaluateFlags extends PairOptions, InferenceOptions, VoteOptions, ImageLimitOptions {
  readonly data: string;
  readonly split: 'train' | 'test';
  readonly predictions?: string;
  readonly json?: true;
}

/** The k's of the table, as DINO's eval_knn has them and the article's k = 1. */
const ks = [1, 5, 10, 20, 50, 200];

export function evaluateCommand(): Command {
  const command = new Command('evaluate')
    .description('measure an index on labelled images it does not hold')
    .addOption(
      new Option('--data <path>', 'folder per class, .csv or .jsonl list, or the CIFAR binary files')
        .env('NEARVOTE_EVALUATE_DATA')
        .makeOptionMandatory(),
    )
    .addOption(
      new Option('--split <split>', 'of the CIFAR files')
        .choices(['train', 'test'])
        .default('test')
        .env('NEARVOTE_EVALUATE_SPLIT'),
    )
    .addOption(
      new Option('--predictions <file>', 'also write a JSON line an image: id, label, predicted').env(
        'NEARVOTE_PREDICTIONS',
      ),
    )
    .addOption(new Option('--json', 'print the report as JSON').env('NEARVOTE_JSON'))
    .addHelpText('after', '\nExample:\n  $ nearvote evaluate --data photos/validation --index index/photos\n')
    .action(evaluateIndex);
  for (const option of [...pairOptions(), ...inferenceOptions(), ...voteOptions(), ...imageLimitOptions()]) {
    command.addOption(option);
  }
  return command;
}

async function evaluateIndex(flags: EvaluateFlags): Promise<void> {
  const dataset = await openDataset(flags.data, { split: flags.split, maxFileBytes: flags.maxImageBytes });
  const inFlight = 4 * flags.maxBatch * flags.workers;
  const pair = await openPair({ ...flags, maxQueue: inFlight });
  let embedded: EmbeddedDataset;
  try {
    embedded = await embedDataset({ ...pair, dataset, inFlight, progress: createProgress() });
  } finally {
    await pair.inference.close();
  }
  // The workers are gone: search may have every core.
  const threads = flags.workers * flags.threads;
  const open = { dir: pair.index.dir, threads };
  const served = await openSearcher({ ...open, mode: flags.search });
  const exact = served.kind === 'exact' ? served : await openSearcher({ ...open, mode: 'exact' });
  const report = await evaluate({
    queries: embedded.embeddings,
    truths: embedded.images.map(({ label }) => label),
    examples: pair.index.examples,
    hnsw: served.kind === 'hnsw' ? served : undefined,
    exact,
    vote: {
      rule: flags.vote,
      temperature: flags.temperature,
      priors: flags.priorCorrection
        ? labelSharesOf(pair.index.examples.map(({ label }) => label))
        : undefined,
    },
    k: flags.k,
    ks,
  });
  for (const searcher of new Set([served, exact])) await searcher.close();
  if (flags.predictions !== undefined) await writePredictions(flags.predictions, embedded, report);
  if (flags.json) {
    const { imagesPerSecond, rejected } = embedded;
    // A label an image is a file of its own: --predictions.
    const figures = { dataset: dataset.name, imagesPerSecond, rejected, ...report, predictions: undefined };
    console.log(JSON.stringify(figures, null, 2));
  } else {
    console.log(render({ report, embedded, dataset: dataset.name, flags }));
  }
}

async function writePredictions(
  file: string,
  { images }: EmbeddedDataset,
  { predictions }: EvaluateReport,
): Promise<void> {
  const lines = images.map(({ id, label }, i) => JSON.stringify({ id, label, predicted: predictions[i] }));
  await writeFile(file, `${lines.join('\n')}\n`);
}

const percent = (share: number | undefined): string =>
  share === undefined ? '' : `${(100 * share).toFixed(2)} %`;

function render(parts: {
  report: EvaluateReport;
  embedded: EmbeddedDataset;
  dataset: string;
  flags: EvaluateFlags;
}): string {
  const { report, embedded, dataset, flags } = parts;
  const style = { head: [], border: [] };
  const accuracy = new Table({ head: ['k', 'HNSW', 'exact'], style });
  for (const { k, hnsw, exact } of report.accuracy) accuracy.push([k, percent(hnsw), percent(exact)]);
  const classes = new Table({ head: ['label', 'images', 'accuracy'], style });
  for (const { label, count, accuracy: share } of report.perClass)
    classes.push([label, count, percent(share)]);
  const { indexRecall: recall, searchMsPerQuery: ms } = report;
  return [
    `${report.queries} images of ${dataset} against ${report.examples} examples, ${flags.vote} vote`,
    accuracy.toString(),
    `at the served k = ${report.served.k}: ${percent(report.served.accuracy)}, per class`,
    classes.toString(),
    ...report.confusions.map(
      ({ truth, predicted, count }) => `${truth} taken for ${predicted}: ${count} of them`,
    ),
    recall === undefined
      ? 'search is exact: hnswlib-node is not built, or --search exact'
      : `index recall@${recall.k}: ${recall.value.toFixed(4)}`,
    `${embedded.imagesPerSecond.toFixed(0)} images/s decoded and embedded; search ms a query: ` +
      (ms.hnsw === undefined ? '' : `HNSW ${ms.hnsw.toFixed(3)}, `) +
      `exact ${ms.exact.toFixed(3)}`,
    ...(report.duplicates > 0
      ? [`${report.duplicates} images are all but identical to an example: these figures are optimistic`]
      : []),
    ...(embedded.rejected.length > 0
      ? [
          `${embedded.rejected.length} images could not be decoded, the first: ${embedded.rejected[0]?.message ?? ''}`,
        ]
      : []),
  ].join('\n');
}
