import { keptArray, type Augmentation } from './pixels.js';

/** What red, green and blue weigh in grey, as in torchvision (ITU-R BT.601). */
export const [redWeight, greenWeight, blueWeight] = [0.2989, 0.587, 0.114];

export interface GreyOptions {
  readonly probability: number;
}

/** All three channels become the grey of the pixel, with that probability: torchvision's RandomGrayscale. */
export function toGrey({ probability }: GreyOptions): Augmentation {
  const outOf = keptArray();
  return (image, random) => {
    if (random() >= probability) return image;
    const { values, width, height } = image;
    const out = outOf(values.length);
    for (let i = 0; i < values.length; i += 3) {
      const grey =
        redWeight * (values[i] ?? 0) + greenWeight * (values[i + 1] ?? 0) + blueWeight * (values[i + 2] ?? 0);
      out[i] = grey;
      out[i + 1] = grey;
      out[i + 2] = grey;
    }
    return { values: out, width, height };
  };
}
