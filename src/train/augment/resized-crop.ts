import type { Random } from '../../domain/seeded-random.js';
import { below, uniform, type Augmentation, type Pixels } from './pixels.js';
import { createResampler, type Box } from './resample.js';

export interface ResizedCropOptions {
  /** The share of the image's area that is kept, from and to. */
  readonly scale: readonly [number, number];
  /** Width over height of what is kept, from and to; drawn evenly in its logarithm. */
  readonly ratio: readonly [number, number];
}

const attempts = 10;

/** A random part of the image, resampled to `size` x `size`: torchvision's RandomResizedCrop. */
export function randomResizedCrop(options: ResizedCropOptions, size: number): Augmentation {
  const resample = createResampler({ width: size, height: size });
  return (image, random) => resample(image, drawBox(image, { ...options, random }));
}

function drawBox(
  { width, height }: Pixels,
  { scale, ratio, random }: ResizedCropOptions & { readonly random: Random },
): Box {
  const [narrowest, widest] = [Math.log(ratio[0]), Math.log(ratio[1])];
  for (let attempt = 0; attempt < attempts; attempt++) {
    const area = width * height * uniform(random, scale[0], scale[1]);
    const shape = Math.exp(uniform(random, narrowest, widest));
    const box = { width: Math.round(Math.sqrt(area * shape)), height: Math.round(Math.sqrt(area / shape)) };
    if (box.width > 0 && box.width <= width && box.height > 0 && box.height <= height) {
      return {
        ...box,
        top: below(random, height - box.height + 1),
        left: below(random, width - box.width + 1),
      };
    }
  }
  return centreBox(width, height, ratio);
}

/** Where no drawn box fits: the largest in the middle whose shape is allowed. */
function centreBox(width: number, height: number, ratio: readonly [number, number]): Box {
  const shape = width / height;
  const box = { width, height };
  if (shape < ratio[0]) box.height = Math.min(height, Math.round(width / ratio[0]));
  else if (shape > ratio[1]) box.width = Math.min(width, Math.round(height * ratio[1]));
  return {
    ...box,
    left: Math.floor((width - box.width) / 2),
    top: Math.floor((height - box.height) / 2),
  };
}

/** The whole image, resampled to `size` x `size`. */
export function resized(size: number): Augmentation {
  const resample = createResampler({ width: size, height: size });
  return (image) =>
    image.width === size && image.height === size
      ? image
      : resample(image, { left: 0, top: 0, width: image.width, height: image.height });
}
