import { seededRandom } from '../../domain/seeded-random.js';
import { below } from '../augment/pixels.js';
import type { BatchPlace, Sampler } from '../sampler.js';
import { seedOf, streams } from '../seed-of.js';
import type { ViewFeatures } from './embed-views.js';

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
