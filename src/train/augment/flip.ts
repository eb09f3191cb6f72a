import { keptArray, type Augmentation } from './pixels.js';

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
