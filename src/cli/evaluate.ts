import { access, constants, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { Command } from 'commander';
import { NearvoteError } from '../domain/errors.js';
import { checkUnknown } from '../evaluate/check-unknown.js';
import { embedDataset, type EmbeddedDataset } from '../evaluate/embed-dataset.js';
import { fullReport, type FullReport } from '../evaluate/full-report.js';
import { evaluateWarnings } from '../evaluate/warnings.js';
import { unknownReport, type UnknownReport } from '../evaluate/unknown-report.js';
import type { Dataset } from '../image/dataset/dataset.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { openSearcher } from '../neighbours/open-searcher.js';
import { checkK } from '../neighbours/searcher.js';
import { evaluateOptions, type EvaluateFlags } from './evaluate-options.js';
import { evaluateReport } from './evaluate-report.js';
import { evaluateSummary } from './evaluate-summary.js';
import { openPair, type OpenPair } from './open-pair.js';
import { createProgress } from './progress.js';

/** The k's of the table, as DINO's eval_knn has them and the article's k = 1. */
const ks = [1, 5, 10, 20, 50, 200];

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
  const pair = await openPair({ ...flags, maxQueue: inFlight });
  let embedded: EmbeddedDataset;
  let unknown: EmbeddedDataset | undefined;
  try {
    // The default is clamped; a k that was asked for is not.
    if (command.getOptionValueSource('k') !== 'default') checkK(flags.k, pair.index.examples.length);
    const embed = (one: Dataset): Promise<EmbeddedDataset> =>
      embedDataset({ ...pair, dataset: one, inFlight, progress: createProgress() });
    embedded = await embed(dataset);
    unknown = strangers && (await embed(strangers));
  } finally {
    await pair.inference.close();
  }
  const measured = await measure({ pair, flags, embedded, unknown });
  const warnings = evaluateWarnings({
    ...{ known: embedded, unknown, examples: pair.index.examples },
    duplicates: measured.report.duplicates,
  });

  const { report } = measured;
  const parts = { ...measured, embedded };
  if (flags.predictions !== undefined) await writeOutput(flags.predictions, predictions(embedded, report));
  if (flags.report !== undefined) {
    const { index } = pair;
    const page = await evaluateReport({ ...parts, dataset, index, examples, warnings, flags });
    await writeOutput(flags.report, JSON.stringify(page));
  }
  if (flags.json) {
    const { imagesPerSecond, rejected } = embedded;
    // A label an image is a file of its own: --predictions.
    const figures = { ...report, answers: undefined, found: undefined };
    const all = { dataset: dataset.name, imagesPerSecond, rejected, ...figures };
    console.log(JSON.stringify({ ...all, unknown: measured.unknown, seed: flags.seed, warnings }, null, 2));
  } else {
    console.log(evaluateSummary({ ...parts, dataset: dataset.name, vote: flags.vote, warnings }));
  }
}

async function measure(parts: {
  pair: OpenPair;
  flags: EvaluateFlags;
  embedded: EmbeddedDataset;
  unknown: EmbeddedDataset | undefined;
}): Promise<{ report: FullReport; unknown: UnknownReport | undefined }> {
  const { pair, flags, embedded, unknown } = parts;
  const { examples } = pair.index;
  // The workers are gone: search may have every core.
  const threads = flags.workers * flags.threads;
  const open = { dir: pair.index.dir, threads };
  const served = await openSearcher({ ...open, mode: flags.search });
  const exact = served.kind === 'exact' ? served : await openSearcher({ ...open, mode: 'exact' });
  const vote = { rule: flags.vote, temperature: flags.temperature };
  try {
    if (unknown !== undefined) await checkUnknown({ unknown, known: embedded, examples, exact, threads });
    const report = await fullReport({
      queries: embedded.embeddings,
      truths: embedded.images.map(({ label }) => label),
      ...{ examples, exact, vote, ks, k: flags.k, seed: flags.seed },
      hnsw: served.kind === 'hnsw' ? served : undefined,
      progress: createProgress(),
    });
    if (unknown === undefined) return { report, unknown };
    const { answers: known, served: at } = report;
    const among = { known, unknown: unknown.embeddings, examples, served, vote };
    return { report, unknown: await unknownReport({ ...among, k: at.k, seed: flags.seed }) };
  } finally {
    for (const searcher of new Set([served, exact])) await searcher.close();
  }
}

function predictions({ images }: EmbeddedDataset, { answers }: FullReport): string {
  const lines = images.map(({ id, label }, i) => JSON.stringify({ id, label, predicted: answers[i]?.label }));
  return `${lines.join('\n')}\n`;
}

/** @throws NearvoteError `output_unwritable` */
async function checkWritable(file: string): Promise<void> {
  await access(dirname(resolve(file)), constants.W_OK).catch((cause: unknown) => {
    throw unwritable(file, cause);
  });
}

/** @throws NearvoteError `output_unwritable` */
async function writeOutput(file: string, text: string): Promise<void> {
  await writeFile(file, text).catch((cause: unknown) => {
    throw unwritable(file, cause);
  });
}

function unwritable(file: string, cause: unknown): NearvoteError {
  const reason = (cause as NodeJS.ErrnoException).code ?? 'unknown error';
  return new NearvoteError('output_unwritable', `Expected to write ${file} but cannot (${reason})`, {
    cause,
  });
}
