import { join } from 'node:path';
import { Command } from 'commander';
import { fingerprintsOf, writeCalibration } from '../calibrate/calibration-file.js';
import { calibrationPage } from '../calibrate/calibration-page.js';
import {
  checkCount,
  checkLabels,
  overlapOf,
  refuseOverlap,
  type Overlap,
} from '../calibrate/check-images.js';
import { describeCalibration, fitCalibration, type FittedCalibration } from '../calibrate/fit-calibration.js';
import { candidateKs, candidateTemperatures } from '../calibrate/fit-vote.js';
import { embedDataset, type EmbeddedDataset } from '../evaluate/embed-dataset.js';
import { measureConfidence } from '../evaluate/measure-confidence.js';
import type { Dataset } from '../image/dataset/dataset.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { limitImages } from '../image/dataset/sample.js';
import { openSearcher } from '../neighbours/open-searcher.js';
import { checkK, type NearestRows } from '../neighbours/searcher.js';
import { renderPage } from '../report/render-page.js';
import { calibrateOptions, type CalibrateFlags } from './calibrate-options.js';
import { renderCalibration, type CalibrateReport } from './calibrate-summary.js';
import { openOffline, resolveShipped, type OfflinePair } from '../pair.js';
import { checkWritable, writeOutput } from './output-file.js';
import { createProgress } from './progress.js';
import { isSet, settingsOf } from './vote-choice.js';

export function calibrateCommand(): Command {
  const command = new Command('calibrate')
    .description('fit confidence and unknown rejection on labelled images that the index does not hold')
    .addHelpText(
      'after',
      '\nk and the temperature are fitted where they are not given.\n\nExample:\n  $ nearvote calibrate --data photos/calibration --index index/photos\n',
    )
    .action(calibrate);
  for (const option of calibrateOptions()) command.addOption(option);
  return command;
}

async function calibrate(flags: CalibrateFlags, command: Command): Promise<void> {
  // Whatever can be wrong with what was asked for is said before the long work.
  if (flags.report !== undefined) await checkWritable(flags.report);
  const dataset = await openLimited(flags);
  const inFlight = 4 * flags.maxBatch * flags.workers;
  const pair = await openOffline({ ...flags, maxQueue: inFlight });
  let embedded: EmbeddedDataset;
  try {
    const { examples, manifest } = pair.index;
    checkLabels(
      dataset.labelCounts.keys(),
      manifest.labels.map(({ label }) => label),
    );
    if (isSet(command, 'k')) checkK(flags.k, examples.length);
    checkCount(dataset.size, Math.min(flags.k, examples.length));
    embedded = await embedDataset({ ...pair, dataset, inFlight, progress: createProgress() });
  } finally {
    await pair.pool.close();
  }
  const { fitted, overlap } = await fit({ flags, command, pair, embedded });
  const { index, encoder } = pair;
  const { answers, relabelled, losses } = fitted;
  const figures = {
    before: measureConfidence(answers.before, flags.seed),
    after: measureConfidence(answers.after, flags.seed),
  };
  const calibration = describeCalibration(fitted, {
    index: { name: index.name, version: index.version },
    encoder: { name: encoder.name, sha256: encoder.sha256 },
    createdAt: new Date(),
    dataset: dataset.name,
    seed: flags.seed,
    overlap: overlap.images,
    figures,
    fingerprints: fingerprintsOf(embedded.keys),
  });
  const root = resolveShipped(flags.index);
  await writeCalibration(root, calibration);
  if (flags.report !== undefined) {
    await writeOutput(flags.report, renderPage(calibrationPage({ calibration, figures })));
  }
  const report: CalibrateReport = {
    calibration,
    figures,
    relabelled,
    losses,
    rejected: embedded.rejected,
    file: join(root, 'calibration.json'),
  };
  console.log(flags.json ? JSON.stringify(report, briefly, 2) : renderCalibration(report));
}

/** Thousands of numbers that are in the file. */
function briefly(key: string, value: unknown): unknown {
  return ['familiarities', 'fingerprints'].includes(key) ? undefined : value;
}

async function openLimited({
  data,
  split,
  maxImages,
  maxImageBytes,
  seed,
}: CalibrateFlags): Promise<Dataset> {
  const dataset = await openDataset(data, { split, maxFileBytes: maxImageBytes });
  return maxImages === undefined ? dataset : limitImages(dataset, { maxImages, seed });
}

interface FitParts {
  readonly flags: CalibrateFlags;
  readonly command: Command;
  readonly pair: OfflinePair;
  readonly embedded: EmbeddedDataset;
}

/** Searches as the server does, refuses what promises nothing, and fits. */
async function fit(parts: FitParts): Promise<{ fitted: FittedCalibration; overlap: Overlap }> {
  const { flags, command, pair, embedded } = parts;
  const { examples, dir, manifest } = pair.index;
  const { images, embeddings } = embedded;
  const truths = images.map(({ label }) => label);
  checkLabels(new Set(truths), new Set(examples.map(({ label }) => label)));
  const k = Math.min(flags.k, examples.length);
  checkCount(images.length, k);
  const ks = isSet(command, 'k')
    ? [flags.k]
    : [...new Set([...candidateKs, k])].filter((each) => each <= Math.min(images.length, examples.length));
  // The workers are gone: search may have every core.
  const searcher = await openSearcher({
    dir,
    manifest,
    threads: flags.workers * flags.threads,
    mode: flags.search,
  });
  const searched = new Map<number, Promise<NearestRows>>();
  const search = (most: number): Promise<NearestRows> => {
    const found = searched.get(most) ?? searcher.search(embeddings, most);
    searched.set(most, found);
    return found;
  };
  const overlap = overlapOf({ images, found: await search(Math.max(...ks)), examples });
  if (!flags.force) refuseOverlap(overlap, images.length);
  const isFixed = isSet(command, 'temperature') || flags.vote !== 'softmax';
  const fitted = await fitCalibration(async (most) => ({ truths, found: await search(most), examples }), {
    settings: { ...settingsOf(flags), k },
    ks,
    temperatures: isFixed ? [flags.temperature] : candidateTemperatures,
    unknownRule: flags.unknownRule,
    epsilon: flags.epsilon,
    seed: flags.seed,
  });
  await searcher.close();
  return { fitted, overlap };
}
