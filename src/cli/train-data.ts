import { NearvoteError } from '../domain/errors.js';
import type { Progress } from '../domain/progress.js';
import type { Dataset } from '../image/dataset/dataset.js';
import { holdOut } from '../image/dataset/sample.js';
import { openDataset } from '../image/dataset/open-dataset.js';
import { channelStatistics, type ChannelStatistics } from '../train/channel-statistics.js';
import type { TrainConfig } from '../train/config/schema.js';
import { decodeImages, loadTrainingImages, type DecodedImages } from '../train/images.js';
import type { BatchViewsOptions } from '../train/views.js';

export interface TrainingData {
  /** In words. */
  readonly name: string;
  readonly images: DecodedImages;
  /** Labelled images that are not trained on. */
  readonly validation: DecodedImages | undefined;
  readonly statistics: ChannelStatistics;
}

/** Reads what a config trains on and validates with. */
export async function loadTrainingData(config: TrainConfig, progress: Progress): Promise<TrainingData> {
  const { data, model, seed } = config;
  const { train, held } = await openSplits(data, seed);
  const decoding = { fit: model.fit, kernel: model.kernel, progress };
  const { inputSize } = model;
  const images = await loadTrainingImages({
    ...decoding,
    dataset: train,
    inputSize,
    storageSize: data.storageSize,
  });
  warnOf(images, train.name);
  const validation =
    held === undefined ? undefined : await decodeImages({ ...decoding, dataset: held, side: inputSize });
  if (validation !== undefined) {
    warnOf(validation, held?.name ?? '');
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

/** Opens the dataset to train on, and the one to validate with. */
export async function openSplits(
  { train, validation }: TrainConfig['data'],
  seed: number,
): Promise<{ train: Dataset; held: Dataset | undefined }> {
  const all = await openDataset(train, { split: 'train' });
  if (validation === undefined) return { train: all, held: undefined };
  if (typeof validation === 'string')
    return { train: all, held: await openDataset(validation, { split: 'test' }) };
  const { kept, held } = await holdOut(all, { share: validation.holdOut, seed });
  return { train: kept, held };
}

/** Tells of images that could not be decoded. */
export function warnOf({ rejected, count }: DecodedImages, name: string): void {
  if (rejected.length === 0) return;
  const [first] = rejected;
  console.error(
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
