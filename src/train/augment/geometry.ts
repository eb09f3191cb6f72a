import type { Random } from '../../domain/seeded-random.js';
import { below, keptArray, uniform, type Augmentation, type Pixels } from './pixels.js';
import { createResampler, type Box } from './resample.js';

export interface FlipOptions {
  readonly probability: number;
}

/** Left becomes right, with that probability. */
export function horizontalFlip({ probability }: FlipOptions): Augmentation {
  const outOf = keptArray();
  return (image, random) => {
    if (random() >= probability) return image;
    const { values, width, height } = image;
    const out = outOf(values.length);
    for (let y = 0; y < height; y++) {
      let from = (y * width + width - 1) * 3;
      const end = (y + 1) * width * 3;
      for (let to = y * width * 3; to < end; to += 3) {
        out[to] = values[from] ?? 0;
        out[to + 1] = values[from + 1] ?? 0;
        out[to + 2] = values[from + 2] ?? 0;
        from -= 3;
      }
    }
    return { values: out, width, height };
  };
}

export interface PaddingCropOptions {
  /** Pixels added on each side. */
  readonly padding: number;
  /** `reflect` mirrors without repeating the outermost pixel, `zero` is black. */
  readonly mode: 'reflect' | 'zero';
}

/**
 * Pads the image and cuts out `size` x `size` anywhere: torchvision's RandomCrop with padding. An image that is smaller
 * than `size` even so is padded as far as needed.
 */
export function paddingCrop({ padding, mode }: PaddingCropOptions, size: number): Augmentation {
  const outOf = keptArray();
  return ({ values, width, height }, random) => {
    const offset = (side: number): number => {
      const slack = side + 2 * padding - size;
      return slack < 0 ? Math.floor((side - size) / 2) : below(random, slack + 1) - padding;
    };
    const top = offset(height);
    const left = offset(width);
    const out = outOf(size * size * 3).fill(0);
    for (let y = 0; y < size; y++) {
      const outside = top + y < 0 || top + y >= height;
      if (outside && mode === 'zero') continue;
      const row = mirrored(top + y, height) * width;
      for (let x = 0; x < size; x++) {
        if (mode === 'zero' && (left + x < 0 || left + x >= width)) continue;
        const from = (row + mirrored(left + x, width)) * 3;
        const to = (y * size + x) * 3;
        out[to] = values[from] ?? 0;
        out[to + 1] = values[from + 1] ?? 0;
        out[to + 2] = values[from + 2] ?? 0;
      }
    }
    return { values: out, width: size, height: size };
  };
}

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

export interface RotationOptions {
  /** Turned by an angle from -degrees to degrees, counter-clockwise where positive. */
  readonly degrees: number;
  /** What shows in the corners: `reflect` mirrors the image, `zero` is black. */
  readonly mode: 'reflect' | 'zero';
}

/** Turns the image around its middle, bilinear, its size kept: torchvision's RandomRotation. */
export function rotation({ degrees, mode }: RotationOptions): Augmentation {
  const outOf = keptArray();
  return (image, random) => {
    const out = outOf(image.values.length);
    rotate(image, { degrees: uniform(random, -degrees, degrees), mode }, out);
    return { ...image, values: out };
  };
}

function rotate(image: Pixels, { degrees, mode }: RotationOptions, out: Uint8ClampedArray): void {
  const { values, width, height } = image;
  const cos = Math.cos((degrees * Math.PI) / 180);
  const sin = Math.sin((degrees * Math.PI) / 180);
  const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
  const outside = values.length;
  /** Where a pixel lies in `values`; past its end where there is none. */
  const place = (x: number, y: number): number =>
    mode === 'zero' && (x < 0 || y < 0 || x >= width || y >= height)
      ? outside
      : (mirrored(y, height) * width + mirrored(x, width)) * 3;

  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      // Rows grow downwards, so counter-clockwise for the eye is clockwise in these axes, and this is its inverse.
      const fromX = cos * (x - middleX) - sin * (y - middleY) + middleX;
      const fromY = sin * (x - middleX) + cos * (y - middleY) + middleY;
      const left = Math.floor(fromX);
      const top = Math.floor(fromY);
      const right = fromX - left;
      const down = fromY - top;
      const a = place(left, top);
      const b = place(left + 1, top);
      const c = place(left, top + 1);
      const d = place(left + 1, top + 1);
      for (let channel = 0; channel < 3; channel++) {
        const above = (values[a + channel] ?? 0) * (1 - right) + (values[b + channel] ?? 0) * right;
        const beneath = (values[c + channel] ?? 0) * (1 - right) + (values[d + channel] ?? 0) * right;
        out[to++] = above * (1 - down) + beneath * down;
      }
    }
  }
}

export interface CutoutOptions {
  readonly probability: number;
  /** The side of the square as a share of the image's shorter side. */
  readonly side: number;
  /** The grey that it is filled with, 0 to 255. */
  readonly fill: number;
}

/**
 * Blanks a square around a random pixel, clipped at the border so that some show only in part: DeVries and Taylor 2017,
 * arXiv:1708.04552.
 */
export function cutout({ probability, side, fill }: CutoutOptions): Augmentation {
  const outOf = keptArray();
  return (image, random) => {
    if (random() >= probability) return image;
    const { width, height } = image;
    const length = Math.round(side * Math.min(width, height));
    const left = below(random, width) - Math.floor(length / 2);
    const top = below(random, height) - Math.floor(length / 2);
    const values = outOf(image.values.length);
    values.set(image.values);
    const [from, to] = [Math.max(0, left), Math.min(width, left + length)];
    for (let y = Math.max(0, top); y < Math.min(height, top + length); y++) {
      values.fill(fill, (y * width + from) * 3, (y * width + to) * 3);
    }
    return { values, width, height };
  };
}

/** The place in `[0, size)` that `at` falls on when the image is mirrored at its outermost pixels, without repeating them. */
export function mirrored(at: number, size: number): number {
  if (at >= 0 && at < size) return at;
  const period = 2 * (size - 1);
  if (period === 0) return 0;
  const within = ((at % period) + period) % period;
  return within < size ? within : period - within;
}
