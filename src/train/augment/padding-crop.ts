import { mirrored } from './mirrored.js';
import { below, keptArray, type Augmentation } from './pixels.js';

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
