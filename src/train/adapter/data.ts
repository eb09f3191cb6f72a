import { NearvoteError } from '../../domain/errors.js';
import type { Dataset } from '../../image/dataset/dataset.js';
import type { AdapterConfig } from '../config/schema.js';
import { openSplits, requireKnownLabels, warnOf } from '../data.js';
import type { Told } from '../describe-run.js';
import {
  decodeImages,
  loadTrainingImages,
  sideOfRawPixels,
  storageFactor,
  type DecodedImages,
} from '../images.js';
import type { Backbone } from './backbone.js';

export interface AdapterData {
  /** In words. */
  readonly name: string;
  /** Decoded as they are when served. */
  readonly plain: DecodedImages;
  /** The same images, as large as crops are cut out of. */
  readonly stored: DecodedImages;
  /** Labelled images that are not trained on, decoded as they are when served. */
  readonly validation: DecodedImages | undefined;
}

export interface AdapterDataOptions {
  readonly config: AdapterConfig;
  /** The config's, for errors. */
  readonly file: string;
  readonly backbone: Backbone;
  readonly told: Told;
}

/** Reads what an adapter is trained on and validated with, at the backbone's size and in its way. */
export async function loadAdapterData(options: AdapterDataOptions): Promise<AdapterData> {
  const { file, told } = options;
  const { data, seed } = options.config;
  const { manifest, size, fit, kernel } = options.backbone;
  const { train, held } = await openSplits({ data, seed, file });
  const decoding = { fit, kernel, progress: told.progress };
  // Small images are enlarged, as they are when served.
  const load = (side: number): Promise<DecodedImages> =>
    loadTrainingImages({ ...decoding, dataset: train, inputSize: 1, storageSize: side });
  const plain = await load(size);
  warnOf(plain, train.name, told);
  const side = data.storageSize ?? (await storageSideOf(train, size));
  if (side < size) {
    throw new NearvoteError(
      'config_invalid',
      `Expected data.storageSize to be at least ${size}, the size that backbone ${manifest.name} takes, but received ${side}`,
    );
  }
  const stored = side === size ? plain : await load(side);
  const validation =
    held === undefined ? undefined : await decodeImages({ ...decoding, dataset: held, side: size });
  if (validation !== undefined) {
    warnOf(validation, held?.name ?? '', told);
    requireKnownLabels(validation, plain);
  }
  return { name: train.name, plain, stored, validation };
}

async function storageSideOf(dataset: Dataset, size: number): Promise<number> {
  return (await sideOfRawPixels(dataset)) === size ? size : Math.ceil(storageFactor * size);
}
