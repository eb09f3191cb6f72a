import { NearvoteError } from '../domain/errors.js';
import type { Dataset } from '../image/dataset/dataset.js';
import { holdOut } from '../image/dataset/sample.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import type { TrainConfig } from './config/schema.js';
import type { Told } from './describe-run.js';
import { decodeImages, loadTrainingImages, type DecodedImages } from './images.js';
import type { BatchViewsOptions } from './views.js';

export interface TrainingData {
  /** In words. */
  readonly name: string;
  readonly images: DecodedImages;
  /** Labelled images that are not trained on. */
  readonly validation: DecodedImages | undefined;
  readonly statistics: ChannelStatistics;
}

export interface TrainingDataOptions {
  readonly config: TrainConfig;
  /** The config's, for errors. */
  readonly file: string;
  readonly told: Told;
}

/** Reads what a config trains on and validates with. */
export async function loadTrainingData({ config, file, told }: TrainingDataOptions): Promise<TrainingData> {
  const { data, model, seed } = config;
  const { train, held } = await openSplits({ data, seed, file });
  const decoding = { fit: model.fit, kernel: model.kernel, progress: told.progress };
  const { inputSize } = model;
  const images = await loadTrainingImages({
    ...decoding,
    dataset: train,
    inputSize,
    storageSize: data.storageSize,
  });
  warnOf(images, train.name, told);
  const validation =
    held === undefined ? undefined : await decodeImages({ ...decoding, dataset: held, side: inputSize });
  if (validation !== undefined) {
    warnOf(validation, held?.name ?? '', told);
    requireKnownLabels(validation, images);
  }
  return { name: train.name, images, validation, statistics: channelStatistics(images) };
}

/** What the views of a config are made by. */
export function viewOptions(config: TrainConfig, images: DecodedImages): BatchViewsOptions {
  const { pixels, side, labels, labelNames } = images;
  return {
    images: { pixels, side, labels },
    classes: labelNames.length,
    operations: config.augment,
    mix: config.mix,
    inputSize: config.model.inputSize,
    seed: config.seed,
  };
}

export interface SplitsOptions extends Pick<TrainConfig, 'data' | 'seed'> {
  /** The config's, for errors. */
  readonly file: string;
}

/**
 * Opens the dataset to train on, and the one to validate with.
 * @throws NearvoteError of `openDataset`, with the config's file and key
 */
export async function openSplits({
  data: { train, validation },
  seed,
  file,
}: SplitsOptions): Promise<{ train: Dataset; held: Dataset | undefined }> {
  const open = async (path: string, split: 'train' | 'test', key: string): Promise<Dataset> => {
    try {
      return await openDataset(path, { split });
    } catch (error) {
      if (!(error instanceof NearvoteError)) throw error;
      throw new NearvoteError(error.code, `${error.message}; ${key} of ${file} names it`, { cause: error });
    }
  };
  const all = await open(train, 'train', 'data.train');
  if (validation === undefined) return { train: all, held: undefined };
  if (typeof validation === 'string')
    return { train: all, held: await open(validation, 'test', 'data.validation') };
  const { kept, held } = await holdOut(all, { share: validation.holdOut, seed });
  return { train: kept, held };
}

/** Tells of images that could not be decoded. */
export function warnOf({ rejected, count }: DecodedImages, name: string, { narration }: Told): void {
  if (rejected.length === 0) return;
  const [first] = rejected;
  narration.say(
    `nearvote: ${rejected.length} of ${rejected.length + count} images of ${name} were left out, such as ` +
      `${first?.id ?? ''}: ${first?.message ?? ''}`,
  );
}

/** @throws NearvoteError `dataset_invalid` where the two have no label in common */
export function requireKnownLabels(validation: DecodedImages, { labelNames }: DecodedImages): void {
  if (validation.labelNames.some((label) => labelNames.includes(label))) return;
  throw new NearvoteError(
    'dataset_invalid',
    `Expected validation images with labels of the training images, such as ${labelNames.slice(0, 3).join(', ')}, ` +
      `but received ${validation.labelNames.slice(0, 3).join(', ')}`,
  );
}

export interface ChannelStatistics {
  /** Of red, green and blue, scaled to 0..1. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** A picture of one colour has no spread, and nothing may be divided by it. */
const leastStd = 1e-3;

/** Mean and standard deviation of each channel over all pixels of all images. */
export function channelStatistics({ pixels, count, side }: DecodedImages): ChannelStatistics {
  const values = new Uint8Array(pixels, 0, count * side * side * 3);
  // Counts are exact, so the figures do not depend on the order of the sums.
  const counts = [new Float64Array(256), new Float64Array(256), new Float64Array(256)] as const;
  const [red, green, blue] = counts;
  for (let i = 0; i < values.length; i += 3) {
    const r = values[i] ?? 0;
    const g = values[i + 1] ?? 0;
    const b = values[i + 2] ?? 0;
    red[r] = (red[r] ?? 0) + 1;
    green[g] = (green[g] ?? 0) + 1;
    blue[b] = (blue[b] ?? 0) + 1;
  }
  const total = values.length / 3;
  const meanOf = (channel: Float64Array): number =>
    channel.reduce((sum, often, value) => sum + often * value, 0) / total / 255;
  const stdOf = (channel: Float64Array): number => {
    const mean = meanOf(channel);
    const variance =
      channel.reduce((sum, often, value) => sum + often * (value / 255 - mean) ** 2, 0) / total;
    return Math.max(leastStd, Math.sqrt(variance));
  };
  return {
    mean: [meanOf(red), meanOf(green), meanOf(blue)],
    std: [stdOf(red), stdOf(green), stdOf(blue)],
  };
}
