import { asEmbeddings, type Embeddings } from '../../domain/embeddings.js';
import type { Progress } from '../../domain/progress.js';
import { seededRandom, seedOf } from '../../domain/seeded-random.js';
import type { Encoder } from '../../encoder/encoder.js';
import { composeOperations, type Operation } from '../augment/compose.js';
import { below } from '../augment/pixels.js';
import type { DecodedImages } from '../images.js';
import { streams, type BatchPlace, type Sampler } from '../sampler.js';

/** What the backbone makes of the views of each image. */
export interface ViewFeatures {
  /** Unit rows, `[images, views, dimension]`; the first view of an image is the image as it is served. */
  readonly values: Float32Array;
  readonly views: number;
  readonly dimension: number;
}

type Backbone = Pick<Encoder, 'manifest' | 'embed'>;
type Images = Pick<DecodedImages, 'pixels' | 'side' | 'count'>;

export interface EmbedViewsOptions {
  readonly backbone: Backbone;
  /** Stored as large as the backbone takes them. */
  readonly plain: Images;
  /** The same, as large as crops are cut out of. */
  readonly stored: Images;
  /** Of each image, the plain one included. */
  readonly views: number;
  readonly operations: readonly Operation[];
  readonly seed: number;
  readonly progress: Progress;
}

/** Embeds every view once: a view depends on the seed, the image and its number, so it is the same in every run. */
export async function embedViews(options: EmbedViewsOptions): Promise<ViewFeatures> {
  const { backbone, plain, stored, views, seed, progress } = options;
  const { width: size } = backbone.manifest.input;
  const augment = composeOperations(options.operations, size);
  const [plainAt, storedAt] = [imagesOf(plain), imagesOf(stored)];
  const { values, dimension } = await embedRows(backbone, plain.count * views, progress, (row) => {
    const [image, view] = [Math.floor(row / views), row % views];
    if (view === 0) return plainAt(image);
    const whole = { values: storedAt(image), width: stored.side, height: stored.side };
    return augment(whole, seededRandom(seedOf(seed, streams.view, image, view))).values;
  });
  return { values, views, dimension };
}

/** Embeds images that are stored as large as the backbone takes them. */
export async function embedPlain(
  backbone: Backbone,
  images: Images,
  progress: Progress,
): Promise<Embeddings> {
  return embedRows(backbone, images.count, progress, imagesOf(images));
}

/** One view of every image. */
export function viewOf({ values, views, dimension }: ViewFeatures, view: number): Embeddings {
  const count = values.length / views / dimension;
  const rows = new Float32Array(count * dimension);
  for (let image = 0; image < count; image++) {
    const start = (image * views + view) * dimension;
    rows.set(values.subarray(start, start + dimension), image * dimension);
  }
  return asEmbeddings(rows, dimension);
}

/** The mean of all rows, `[dimension]`. */
export function meanOf({ values, count, dimension }: Embeddings): Float32Array {
  const sums = new Float64Array(dimension);
  for (const [i, value] of values.entries()) sums[i % dimension] = (sums[i % dimension] ?? 0) + value;
  return Float32Array.from(sums, (sum) => sum / count);
}

function imagesOf({ pixels, side }: Images): (image: number) => Uint8ClampedArray {
  const bytes = side * side * 3;
  return (image) => new Uint8ClampedArray(pixels, image * bytes, bytes);
}

const imagesPerRun = 64;

async function embedRows(
  backbone: Backbone,
  count: number,
  progress: Progress,
  imageAt: (row: number) => ArrayLike<number>,
): Promise<Embeddings> {
  const { input, output } = backbone.manifest;
  const bytes = input.width * input.height * 3;
  const values = new Float32Array(count * output.dimension);
  progress.start({ name: 'embedding', total: count, unit: 'views' });
  for (let start = 0; start < count; start += imagesPerRun) {
    const rows = Math.min(imagesPerRun, count - start);
    const pixels = new Uint8Array(rows * bytes);
    for (let i = 0; i < rows; i++) pixels.set(imageAt(start + i), i * bytes);
    values.set((await backbone.embed(pixels, rows)).values, start * output.dimension);
    progress.advance(rows);
  }
  progress.finish();
  return asEmbeddings(values, output.dimension);
}

/** Two views of each image: first one of all, then another of all, in the same order. */
export interface FeatureBatch {
  readonly place: BatchPlace;
  /** `[2 images, features]` */
  readonly features: Float32Array;
  /** One-hot, `[2 images, classes]` */
  readonly labels: Float32Array;
}

export interface FeatureBatchesOptions {
  readonly embedded: ViewFeatures;
  /** Of each image. */
  readonly labels: Int32Array;
  readonly classes: number;
  readonly sampler: Sampler;
  readonly seed: number;
}

/** Makes any batch: which two of its views an image shows is a function of the seed and the place. */
export function createFeatureBatches(options: FeatureBatchesOptions): (place: BatchPlace) => FeatureBatch {
  const { embedded, labels: labelOf, classes, sampler, seed } = options;
  const { values, views, dimension } = embedded;

  return (place) => {
    const images = sampler.batch(place);
    const random = seededRandom(seedOf(seed, streams.view, place.epoch, place.step));
    const features = new Float32Array(2 * images.length * dimension);
    const labels = new Float32Array(2 * images.length * classes);
    for (const [i, image] of images.entries()) {
      const first = below(random, views);
      const second = (first + 1 + below(random, views - 1)) % views;
      for (const [row, view] of [
        [i, first],
        [images.length + i, second],
      ] as const) {
        const start = (image * views + view) * dimension;
        features.set(values.subarray(start, start + dimension), row * dimension);
        labels[row * classes + (labelOf[image] ?? 0)] = 1;
      }
    }
    return { place, features, labels };
  };
}
