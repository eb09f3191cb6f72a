import type { Progress } from '../domain/progress.js';
import { asEmbeddings, type Embeddings } from '../domain/embeddings.js';
import { NearvoteError } from '../domain/errors.js';
import type { Dataset, LabelledImage } from '../image/dataset/dataset.js';
import { createDecoder, type Decoder } from '../image/decode.js';
import type { EncoderManifest } from '../encoder/manifest.js';
import { createEncoderPool, type EncoderPool } from '../encoder/pool/pool.js';
import { embedImages, imagesInFlight } from './embed-images.js';

interface EmbedDatasetOptions {
  readonly dataset: Dataset;
  readonly encoder: EncoderManifest;
  readonly decoder: Decoder;
  readonly pool: EncoderPool;
  readonly inFlight: number;
  readonly progress: Progress;
}

export interface EmbeddedDataset {
  readonly images: readonly LabelledImage[];
  /** Of `images`, in order. */
  readonly embeddings: Embeddings;
  /** Of `images`, in order: the same for the same pixels. */
  readonly keys: readonly Uint8Array[];
  readonly rejected: readonly { readonly id: string; readonly message: string }[];
  readonly imagesPerSecond: number;
}

/**
 * Embeds a dataset to measure on. Images that cannot be decoded are left out and listed.
 * @throws NearvoteError `dataset_invalid` when none is left
 */
async function embedDataset(options: EmbedDatasetOptions): Promise<EmbeddedDataset> {
  const { dataset, encoder, decoder, pool, inFlight, progress } = options;
  const images: LabelledImage[] = [];
  const rows: Float32Array[] = [];
  const keys: Uint8Array[] = [];
  const rejected: { id: string; message: string }[] = [];
  const started = performance.now();
  progress.start({ name: 'embed', total: dataset.size, unit: 'images' });
  const embedded = embedImages(dataset.images(), {
    decoder,
    geometry: encoder.input.geometry,
    pool,
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
    rejected,
    imagesPerSecond: (1_000 * images.length) / (performance.now() - started),
  };
}

/** How an operation embeds: with how many workers, and what it takes for an image. */
export interface EmbeddingOptions {
  readonly workers: number;
  /** Of each worker. */
  readonly threads: number;
  readonly maxBatch: number;
  /** Execution providers of ONNX Runtime, the preferred one first; the processor's unless told. */
  readonly providers?: readonly string[] | undefined;
  readonly maxPixels: number;
  readonly maxDecodeBytes?: number | undefined;
}

/** An encoder whose workers run. */
export interface RunningEncoder extends Pick<EmbedDatasetOptions, 'decoder' | 'pool' | 'inFlight'> {
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
  const pool = await createEncoderPool({
    ...{ encoderDir, manifest: encoder, workers, threads, maxBatch, providers, maxQueue: inFlight },
  });
  const decoder = createDecoder({ geometry: encoder.input.geometry, maxPixels, maxDecodeBytes });
  const running = { decoder, pool, inFlight };
  try {
    return await work({
      ...running,
      embed: (dataset) => embedDataset({ dataset, encoder, progress, ...running }),
    });
  } finally {
    await pool.close();
  }
}
