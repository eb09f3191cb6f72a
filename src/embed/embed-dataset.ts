import type { Progress } from '../domain/progress.js';
import { asEmbeddings, type Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import { recognise } from '../domain/fingerprints.js';
import { namesItsImages } from '../image/dataset/cifar.js';
import type { Dataset, ImageContent, LabelledImage } from '../image/dataset/dataset.js';
import { createDecoder, type Decoder } from '../image/decode.js';
import { readTrainedImages } from '../encoder/load.js';
import type { EncoderManifest } from '../encoder/manifest.js';
import { createEncoderPool, type EncoderPool } from '../encoder/pool/pool.js';
import { embedImages, imagesInFlight } from './embed-images.js';
import { trainedImageDigest } from './image-key.js';

interface EmbedDatasetOptions {
  readonly dataset: Dataset;
  readonly encoder: EncoderManifest;
  readonly decoder: Decoder;
  readonly pool: EncoderPool;
  readonly inFlight: number;
  readonly wasTrainedOn: TrainedOn;
  readonly progress: Progress;
}

export interface EmbeddedDataset {
  readonly images: readonly LabelledImage[];
  /** Of `images`, in order. */
  readonly embeddings: Embeddings;
  /** Of `images`, in order: the same for the same pixels. */
  readonly keys: readonly Uint8Array[];
  /** How many of `images` the encoder was trained on, as far as it can tell: what is measured on them is optimistic. */
  readonly trainedOn: number;
  readonly rejected: readonly { readonly id: string; readonly message: string }[];
  readonly imagesPerSecond: number;
}

/**
 * Embeds a dataset to measure on. Images that cannot be decoded are left out and listed.
 * @throws NearvoteError `dataset_invalid` when none is left
 */
async function embedDataset(options: EmbedDatasetOptions): Promise<EmbeddedDataset> {
  const { dataset, encoder, decoder, pool, inFlight, wasTrainedOn, progress } = options;
  const images: LabelledImage[] = [];
  const rows: Float32Array[] = [];
  const keys: Uint8Array[] = [];
  const rejected: { id: string; message: string }[] = [];
  let trainedOn = 0;
  const started = performance.now();
  progress.start({ name: 'embed', total: dataset.size, unit: 'images' });
  const embedded = embedImages(dataset.images(), {
    decoder,
    geometry: encoder.input.geometry,
    pool,
    trainedOn: wasTrainedOn(dataset),
    inFlight,
  });
  for await (const one of embedded) {
    progress.advance(1);
    if (one.kind === 'rejected') {
      rejected.push({ id: one.image.id, message: one.message });
    } else {
      images.push(one.image);
      rows.push(one.embedding);
      keys.push(one.key);
      if (one.trainedOn) trainedOn++;
    }
  }
  progress.finish();
  if (images.length === 0) {
    throw new NearvoteError('dataset_invalid', 'Expected at least one image that can be decoded');
  }
  const { dimension } = encoder.output;
  const values = new Float32Array(images.length * dimension);
  for (const [i, row] of rows.entries()) values.set(row, i * dimension);
  return {
    images,
    embeddings: asEmbeddings(values, dimension),
    keys,
    trainedOn,
    rejected,
    imagesPerSecond: (1_000 * images.length) / (performance.now() - started),
  };
}

/** Of a dataset, whether the encoder was trained on an image of it. */
type TrainedOn = (dataset: Pick<Dataset, 'name'>) => (content: ImageContent) => boolean;

/**
 * By the fingerprints that the encoder keeps; by the dataset's name where it keeps none of that dataset and the name says
 * which images it has, as `cifar10 (train)` does and a folder's does not.
 */
function trainedOnBy(
  { trainedOn, trainedImages }: Pick<EncoderManifest, 'trainedOn' | 'trainedImages'>,
  fingerprints: Uint8Array | undefined,
): TrainedOn {
  const fingerprinted = fingerprints === undefined ? [] : (trainedImages?.datasets ?? []);
  const isAmong = fingerprints && recognise(fingerprints);
  return ({ name }) => {
    if (trainedOn.includes(name) && !fingerprinted.includes(name) && namesItsImages(name)) return () => true;
    return (content) => isAmong?.(trainedImageDigest(content)) ?? false;
  };
}

/** How an operation embeds: with how many workers, and what it takes for an image. */
export interface EmbeddingOptions {
  readonly workers: number;
  /** Of each worker. */
  readonly threads: number;
  readonly maxBatch?: number | undefined;
  /** Execution providers of ONNX Runtime, the preferred one first; the processor's unless told. */
  readonly providers?: readonly string[] | undefined;
  readonly maxPixels: number;
  readonly maxDecodeBytes?: number | undefined;
}

/** An encoder whose workers run. */
export interface RunningEncoder extends Pick<
  EmbedDatasetOptions,
  'decoder' | 'pool' | 'inFlight' | 'wasTrainedOn'
> {
  readonly embed: (dataset: Dataset) => Promise<EmbeddedDataset>;
}

/**
 * Starts an encoder's workers, lets `work` embed with them, and ends them: whatever searches afterwards may have every
 * core.
 * @throws NearvoteError `encoder_*`, `worker_failed`, or what `work` throws
 */
export async function withEncoder<T>(
  options: EmbeddingOptions & {
    readonly encoder: EncoderManifest;
    readonly encoderDir: string;
    readonly progress: Progress;
  },
  work: (running: RunningEncoder) => Promise<T>,
): Promise<T> {
  const { encoder, encoderDir, workers, threads, maxBatch, providers, progress } = options;
  const { maxPixels, maxDecodeBytes } = options;
  const inFlight = imagesInFlight(options);
  // Before any worker starts: a file that is wrong is said at once.
  const wasTrainedOn = trainedOnBy(encoder, await readTrainedImages(encoderDir, encoder));
  const pool = await createEncoderPool({
    ...{ encoderDir, manifest: encoder, workers, threads, maxBatch, providers, maxQueue: inFlight },
  });
  const decoder = createDecoder({ geometry: encoder.input.geometry, maxPixels, maxDecodeBytes });
  const running = { decoder, pool, inFlight, wasTrainedOn };
  try {
    return await work({
      ...running,
      embed: (dataset) => embedDataset({ dataset, encoder, progress, ...running }),
    });
  } finally {
    await pool.close();
  }
}
