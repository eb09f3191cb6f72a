import { join } from 'node:path';
import type { Progress } from '../domain/progress.js';
import { withEncoder, type EmbeddedDataset, type EmbeddingOptions } from '../embed/embed-dataset.js';
import { measureConfidence, type MeasuredConfidence } from '../evaluate/measure-confidence.js';
import { encoderIdentity } from '../encoder/manifest.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { limitImages, withLabels } from '../image/dataset/sample.js';
import { checkHasExamples, contentDigest, type OpenIndex } from '../examples/index-store.js';
import { readEmbeddingsFile } from '../neighbours/embeddings-file.js';
import { openSearcher } from '../neighbours/open-searcher.js';
import { checkK } from '../neighbours/searcher.js';
import { openOffline, resolveShipped } from '../pair.js';
import type { VoteSettings } from '../vote/calibration.js';
import type { UnknownRule } from '../vote/unknown.js';
import { fingerprintsOf, writeCalibration, type CalibrationFile } from '../examples/calibration-file.js';
import {
  checkCount,
  checkHelps,
  checkLabels,
  overlapOf,
  refuseOverlap,
  type Overlap,
} from './check-images.js';
import {
  describeCalibration,
  directionsOf,
  fitCalibration,
  type FittedCalibration,
} from './fit-calibration.js';
import type { ReplacedCalibration } from './replaced-calibration.js';

export interface CalibrateOptions extends EmbeddingOptions {
  /** Folder of the index, and folder of encoders. */
  readonly index: string;
  readonly models: string;
  readonly search: 'auto' | 'exact';
  /** Labelled images that the index does not hold. */
  readonly data: string;
  /** Of CIFAR files. */
  readonly split: 'train' | 'test';
  /** Most images, chosen by the seed. */
  readonly maxImages?: number | undefined;
  readonly maxImageBytes: number;
  /** How the index votes: a calibration keeps it. */
  readonly vote: VoteSettings;
  /** Whether too large a k is brought down to the index; one that was asked for is refused. */
  readonly clampK: boolean;
  readonly unknownRule: UnknownRule;
  /** Share of known images that may be called unknown, in (0, 1). */
  readonly epsilon: number;
  /** Whether images that the index holds are taken all the same. */
  readonly force: boolean;
  readonly seed: number;
  readonly now: () => Date;
}

export interface CalibrateReport extends Pick<FittedCalibration, 'losses'> {
  readonly calibration: CalibrationFile;
  /** The figures of the calibration with the bins of their reliability diagrams. */
  readonly figures: { readonly before: MeasuredConfidence; readonly after: MeasuredConfidence };
  readonly rejected: EmbeddedDataset['rejected'];
  /** Labels of the index of which there was no image. */
  readonly unseen: readonly string[];
  /** Images of labels that the index lacks: no vote can be right about them. */
  readonly leftOut: { readonly images: number; readonly labels: readonly string[] };
  /** Images that the encoder was trained on, as far as it can tell: what is fitted on them promises too much. */
  readonly trainedOn: number;
  /** The calibration whose place it takes, where that was looked at. */
  readonly replaces?: ReplacedCalibration | undefined;
  /** Where it was written. */
  readonly file: string;
}

/**
 * Fits confidence and unknown rejection on labelled images that an index does not hold, and writes them beside it.
 * @throws NearvoteError `dataset_*`, `index_*`, `encoder_*`, `k_too_large`, `worker_failed`, `output_unwritable`
 */
export async function calibrate(options: CalibrateOptions, progress: Progress): Promise<CalibrateReport> {
  const { data, split, maxImages, seed, vote } = options;
  // Whatever can be wrong with what was asked for is said before the long work.
  const all = await openDataset(data, { split, maxFileBytes: options.maxImageBytes });
  await using pair = await openOffline(options);
  const { index, encoder, encoderDir } = pair;
  checkHasExamples(index);
  const labels = new Set(index.manifest.labels.map(({ label }) => label));
  checkLabels(all.labelCounts.keys(), labels);
  const known = withLabels(all, labels);
  const leftOut = {
    images: all.size - known.size,
    labels: [...all.labelCounts.keys()].filter((label) => !labels.has(label)),
  };
  const dataset = maxImages === undefined ? known : await limitImages(known, { maxImages, seed });
  checkLabels(dataset.labelCounts.keys(), labels);
  if (!options.clampK) checkK(vote.k, index.examples.length);
  checkCount(dataset.size, Math.min(vote.k, index.examples.length));

  if (!options.force) {
    const images: { label: string; source: string }[] = [];
    for await (const { label, source } of dataset.images()) images.push({ label, source });
    refuseOverlap(overlapOf({ images, examples: index.examples }), images.length);
  }

  const embedding = { ...options, encoder, encoderDir, progress };
  const embedded = await withEncoder(embedding, ({ embed }) => embed(dataset));
  const { fitted, overlap } = await fit({ index, embedded, options });
  const { answers, losses } = fitted;
  const figures = {
    before: measureConfidence(answers.before, seed),
    after: measureConfidence(answers.after, seed),
  };
  const { name, sha256, digest } = encoderIdentity(encoder);
  const calibration = describeCalibration(fitted, {
    index: { name: index.name, version: index.version, digest: contentDigest(index.manifest) },
    encoder: { name, sha256, digest },
    createdAt: options.now(),
    dataset: dataset.name,
    overlap: overlap.images,
    fingerprints: fingerprintsOf(embedded.keys),
    ...{ seed, figures },
  });
  const root = resolveShipped(options.index);
  await writeCalibration(root, calibration);
  const file = join(root, 'calibration.json');
  const seen = new Set(embedded.images.map(({ label }) => label));
  const unseen = [...labels].filter((label) => !seen.has(label));
  const { rejected, trainedOn } = embedded;
  return { calibration, figures, losses, rejected, unseen, leftOut, trainedOn, file };
}

interface FitParts {
  readonly index: OpenIndex;
  readonly embedded: EmbeddedDataset;
  readonly options: CalibrateOptions;
}

/** Searches as the server does, refuses what promises nothing, and fits. */
async function fit(parts: FitParts): Promise<{ fitted: FittedCalibration; overlap: Overlap }> {
  const { index, embedded, options } = parts;
  const { examples, dir, manifest } = index;
  const { images, embeddings } = embedded;
  const { vote, unknownRule, epsilon, seed } = options;
  const truths = images.map(({ label }) => label);
  checkLabels(new Set(truths), new Set(examples.map(({ label }) => label)));
  const k = Math.min(vote.k, examples.length);
  checkCount(images.length, k);
  const { dimension } = manifest;
  const path = join(dir, 'embeddings.f32');
  const directions = directionsOf(
    examples,
    await readEmbeddingsFile({ path, count: examples.length, dimension }),
  );
  // The workers are gone: search may have every core.
  const threads = options.workers * options.threads;
  const searcher = await openSearcher({ dir, manifest, threads, mode: options.search });
  try {
    const found = await searcher.search(embeddings, k);
    const overlap = overlapOf({ images, found, examples });
    if (!options.force) refuseOverlap(overlap, images.length);
    const settings = { ...vote, k };
    const hoods = { truths, embeddings, found, examples };
    const fitted = fitCalibration(hoods, { settings, directions, unknownRule, epsilon, seed });
    checkHelps(fitted.calibration);
    return { fitted, overlap };
  } finally {
    await searcher.close();
  }
}
