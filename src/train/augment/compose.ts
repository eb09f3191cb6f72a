import { colourJitter, toGrey, type ColourJitterOptions, type GreyOptions } from './colour.js';
import {
  cutout,
  horizontalFlip,
  paddingCrop,
  randomResizedCrop,
  resized,
  rotation,
  type CutoutOptions,
  type FlipOptions,
  type PaddingCropOptions,
  type ResizedCropOptions,
  type RotationOptions,
} from './geometry.js';
import type { Augmentation } from './pixels.js';

/** One operation as the config names it. */
export type Operation =
  | ({ readonly kind: 'randomResizedCrop' } & ResizedCropOptions)
  | ({ readonly kind: 'paddingCrop' } & PaddingCropOptions)
  | ({ readonly kind: 'horizontalFlip' } & FlipOptions)
  | ({ readonly kind: 'rotation' } & RotationOptions)
  | ({ readonly kind: 'colourJitter' } & ColourJitterOptions)
  | ({ readonly kind: 'toGrey' } & GreyOptions)
  | ({ readonly kind: 'cutout' } & CutoutOptions);

function createOperation(operation: Operation, size: number): Augmentation {
  switch (operation.kind) {
    case 'randomResizedCrop':
      return randomResizedCrop(operation, size);
    case 'paddingCrop':
      return paddingCrop(operation, size);
    case 'horizontalFlip':
      return horizontalFlip(operation);
    case 'rotation':
      return rotation(operation);
    case 'colourJitter':
      return colourJitter(operation);
    case 'toGrey':
      return toGrey(operation);
    case 'cutout':
      return cutout(operation);
  }
}

/**
 * The operations one after another, on one random source, to an image of `size` x `size`. Where none of them crops, the
 * whole image is resampled to that size first. It keeps buffers between calls: one for each thread.
 */
export function composeOperations(operations: readonly Operation[], size: number): Augmentation {
  const crops = operations.some(({ kind }) => kind === 'randomResizedCrop' || kind === 'paddingCrop');
  const steps = [
    ...(crops ? [] : [resized(size)]),
    ...operations.map((operation) => createOperation(operation, size)),
  ];
  return (image, random) => steps.reduce((changed, step) => step(changed, random), image);
}
