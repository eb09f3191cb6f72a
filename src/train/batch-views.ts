import { seededRandom } from '../domain/seeded-random.js';
import { composeOperations, type Operation } from './augment/compose.js';
import { mixBatch, type MixOptions } from './augment/mix.js';
import type { DecodedImages } from './images.js';
import type { BatchPlace } from './sampler.js';
import { seedOf, streams } from './seed-of.js';

export interface BatchViewsOptions {
  readonly images: Pick<DecodedImages, 'pixels' | 'side' | 'labels'>;
  readonly classes: number;
  readonly operations: readonly Operation[];
  readonly mix?: MixOptions | undefined;
  /** Of the views. */
  readonly inputSize: number;
  readonly seed: number;
}

/** Two views of each image: first one of all, then the other of all, in the same order. */
export interface ViewBatch {
  readonly place: BatchPlace;
  /** Of the batch, by number. */
  readonly images: Int32Array;
  /** uint8 RGB `[2 images, inputSize, inputSize, 3]` */
  readonly pixels: Uint8Array<ArrayBuffer>;
  /** `[2 images, classes]`; rows add up to 1 */
  readonly labels: Float32Array<ArrayBuffer>;
}

/** Makes the views of a batch: a function of the seed, the place and the images alone, whatever was made before. */
export type MakeViews = (place: BatchPlace, images: Int32Array) => ViewBatch;

const viewsOfAnImage = 2;

/** It keeps buffers between batches: one for each thread. */
export function createViewMaker(options: BatchViewsOptions): MakeViews {
  const { classes, operations, mix, inputSize, seed } = options;
  const { pixels: stored, side, labels: labelOf } = options.images;
  const all = new Uint8ClampedArray(stored);
  const augment = composeOperations(operations, inputSize);
  const [storedBytes, viewBytes] = [side * side * 3, inputSize * inputSize * 3];

  return (place, images) => {
    const views = viewsOfAnImage * images.length;
    const pixels = new Uint8Array(views * viewBytes);
    const labels = new Float32Array(views * classes);
    for (let row = 0; row < views; row++) {
      const image = images[row % images.length] ?? 0;
      // The row is the view, and tells an image apart that a batch has twice.
      const random = seededRandom(seedOf(seed, streams.view, place.epoch, place.step, image, row));
      const values = all.subarray(image * storedBytes, (image + 1) * storedBytes);
      pixels.set(augment({ values, width: side, height: side }, random).values, row * viewBytes);
      labels[row * classes + (labelOf[image] ?? 0)] = 1;
    }
    if (mix === undefined) return { place, images, pixels, labels };
    const random = seededRandom(seedOf(seed, streams.mix, place.epoch, place.step));
    const mixed = mixBatch({ pixels, labels, views, size: inputSize }, mix, random);
    return { place, images, pixels: mixed.pixels, labels: mixed.labels };
  };
}
