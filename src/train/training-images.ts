import { NearvoteError } from '../domain/errors.js';
import type { Dataset } from '../image/dataset/dataset.js';
import { countLabels } from '../image/dataset/label-counts.js';
import { decodeImages, type DecodedImages, type DecodeImagesOptions } from './images.js';

export interface TrainingImagesOptions extends Omit<DecodeImagesOptions, 'side' | 'leastSide'> {
  /** Of the crops. */
  readonly inputSize: number;
  /**
   * Unless told, raw pixels such as CIFAR's stay as large as they are, and files are decoded to a little more than the
   * crop.
   */
  readonly storageSize?: number | undefined;
}

/** So that a crop of a photo chooses among pixels that are there. */
export const storageFactor = 1.15;

/**
 * Decodes the images to train on.
 * @throws NearvoteError `dataset_invalid` where a class has a single image, where there is a single class, or where
 * images are smaller than the crop; what `decodeImages` throws
 */
export async function loadTrainingImages(options: TrainingImagesOptions): Promise<DecodedImages> {
  const { dataset, inputSize, storageSize } = options;
  requireClasses(dataset.labelCounts, dataset.name);
  const side = storageSize ?? (await sideOfRawPixels(dataset)) ?? Math.ceil(storageFactor * inputSize);
  if (side < inputSize) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected images of at least ${inputSize} pixels, the size of the crop, but ${dataset.name} is stored at ${side}`,
    );
  }
  const images = await decodeImages({ ...options, side, leastSide: inputSize });
  const named = Array.from(images.labels, (label) => images.labelNames[label] ?? '');
  requireClasses(countLabels(named), dataset.name, images.rejected.length);
  return images;
}

function requireClasses(counts: ReadonlyMap<string, number>, dataset: string, rejected = 0): void {
  const after = rejected === 0 ? '' : ` once ${rejected} unreadable images were left out`;
  if (counts.size < 2) {
    throw new NearvoteError(
      'dataset_invalid',
      `Expected at least two classes to tell apart in ${dataset} but received ${counts.size}${after}`,
    );
  }
  const single = [...counts].filter(([, count]) => count < 2).map(([label]) => label);
  if (single.length === 0) return;
  throw new NearvoteError(
    'dataset_invalid',
    `Expected at least two images of every class in ${dataset} but ${single.slice(0, 3).join(', ')}` +
      `${single.length > 3 ? ` and ${single.length - 3} others have` : single.length > 1 ? ' have' : ' has'} only one${after}`,
  );
}

/** Of the first image; undefined where it is a file, or where it cannot be read and decoding will say why. */
export async function sideOfRawPixels(dataset: Dataset): Promise<number | undefined> {
  for await (const image of dataset.images()) {
    const content = await image.read().catch(() => undefined);
    return content?.kind === 'pixels' ? Math.min(content.width, content.height) : undefined;
  }
  return undefined;
}
