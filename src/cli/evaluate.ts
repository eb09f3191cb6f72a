import type { Command } from 'commander';
import { embedDataset, type EmbeddedDataset } from '../evaluate/embed-dataset.js';
import type { FullReport } from '../evaluate/full-report.js';
import { evaluateWarnings } from '../evaluate/warnings.js';
import type { Dataset } from '../image/dataset/dataset.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { checkK } from '../neighbours/searcher.js';
import { renderPage } from '../report/render-page.js';
import { evaluateOptions, type EvaluateFlags } from './evaluate-options.js';
import { evaluateReport } from './evaluate-report.js';
import { evaluateSummary } from './evaluate-summary.js';
import { measureIndex } from './measure-index.js';
import { openOffline } from '../pair.js';
import { checkWritable, writeOutput } from './output-file.js';
import { createProgress } from './progress.js';
import { applyCalibration, isSet, voteChoice, voteWords } from './vote-choice.js';

export function evaluateCommand(): Command {
  return evaluateOptions().action(evaluateIndex);
}

async function evaluateIndex(flags: EvaluateFlags, command: Command): Promise<void> {
  // Whatever can be wrong with what was asked for is said before the long work.
  for (const file of [flags.report, flags.predictions]) if (file !== undefined) await checkWritable(file);
  const open = (path: string, split: 'train' | 'test'): Promise<Dataset> =>
    openDataset(path, { split, maxFileBytes: flags.maxImageBytes });
  const dataset = await open(flags.data, flags.split);
  const strangers = flags.ood === undefined ? undefined : await open(flags.ood, flags.split);
  const examples = flags.examples === undefined ? undefined : await open(flags.examples, flags.examplesSplit);

  const inFlight = 4 * flags.maxBatch * flags.workers;
  const pair = await openOffline({ ...flags, maxQueue: inFlight });
  let embedded: EmbeddedDataset;
  let unknown: EmbeddedDataset | undefined;
  try {
    // The default is clamped; a k that was asked for is not.
    if (isSet(command, 'k')) checkK(flags.k, pair.index.examples.length);
    const embed = (one: Dataset): Promise<EmbeddedDataset> =>
      embedDataset({ ...pair, dataset: one, inFlight, progress: createProgress() });
    embedded = await embed(dataset);
    unknown = strangers && (await embed(strangers));
  } finally {
    await pair.pool.close();
  }
  const choice = voteChoice(flags, command);
  const { calibration, warning } = applyCalibration(pair.calibration, choice);
  const settings = calibration?.vote ?? choice.settings;
  const measured = await measureIndex({ pair, flags, embedded, unknown, settings, calibration });
  const { report, calibrated } = measured;
  const warnings = [
    ...evaluateWarnings({
      ...{ known: embedded, unknown, examples: pair.index.examples },
      ...{ duplicates: report.duplicates, calibrated },
    }),
    ...(warning === undefined ? [] : [warning]),
  ];

  const parts = { ...measured, embedded };
  if (flags.predictions !== undefined) await writeOutput(flags.predictions, predictions(embedded, report));
  if (flags.report !== undefined) {
    const { index } = pair;
    const page = await evaluateReport({ ...parts, dataset, index, examples, settings, warnings, flags });
    await writeOutput(flags.report, renderPage(page));
  }
  if (flags.json) {
    const { imagesPerSecond, rejected } = embedded;
    // A label an image is a file of its own: --predictions.
    const figures = { ...report, answers: undefined, found: undefined };
    const others = { unknown: measured.unknown && { ...measured.unknown, answers: undefined }, calibrated };
    const all = { dataset: dataset.name, imagesPerSecond, rejected, vote: settings, ...figures, ...others };
    console.log(JSON.stringify({ ...all, seed: flags.seed, warnings }, null, 2));
  } else {
    console.log(evaluateSummary({ ...parts, dataset: dataset.name, vote: voteWords(settings), warnings }));
  }
}

function predictions({ images }: EmbeddedDataset, { answers }: FullReport): string {
  const lines = images.map(({ id, label }, i) => JSON.stringify({ id, label, predicted: answers[i]?.label }));
  return `${lines.join('\n')}\n`;
}
