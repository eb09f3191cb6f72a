import { below, keptArray, uniform, type Augmentation } from './pixels.js';

export interface ColourJitterOptions {
  readonly probability: number;
  /** Factors are drawn from 1 - this, but not below 0, to 1 + this. */
  readonly brightness: number;
  readonly contrast: number;
  readonly saturation: number;
  /** Turned by up to this share of the circle of hues, at most 0.5, either way. */
  readonly hue: number;
}

interface Part {
  readonly change: ColourChange;
  readonly low: number;
  readonly high: number;
}

/** Changes brightness, contrast, saturation and hue in a random order, with that probability: torchvision's ColorJitter. */
export function colourJitter(options: ColourJitterOptions): Augmentation {
  const around = (change: ColourChange, spread: number): readonly Part[] =>
    spread === 0 ? [] : [{ change, low: Math.max(0, 1 - spread), high: 1 + spread }];
  const parts: readonly Part[] = [
    ...around(changeBrightness, options.brightness),
    ...around(changeContrast, options.contrast),
    ...around(changeSaturation, options.saturation),
    ...(options.hue === 0 ? [] : [{ change: changeHue, low: -options.hue, high: options.hue }]),
  ];

  const outOf = keptArray();
  return (image, random) => {
    if (random() >= options.probability) return image;
    const values = outOf(image.values.length);
    values.set(image.values);
    const waiting = [...parts];
    while (waiting.length > 0) {
      const [part] = waiting.splice(below(random, waiting.length), 1);
      if (part !== undefined) part.change(values, uniform(random, part.low, part.high));
    }
    return { ...image, values };
  };
}

/** Changes RGB values in place; a factor of 1, or a turn of 0, leaves them as they are. */
export type ColourChange = (values: Uint8ClampedArray, amount: number) => void;

/** Blends with black: torchvision's adjust_brightness. */
export const changeBrightness: ColourChange = (values, factor) => {
  for (let i = 0; i < values.length; i++) values[i] = factor * (values[i] ?? 0);
};

/** Blends with the mean grey of the image: torchvision's adjust_contrast. */
export const changeContrast: ColourChange = (values, factor) => {
  let sum = 0;
  for (let i = 0; i < values.length; i += 3) {
    sum +=
      redWeight * (values[i] ?? 0) + greenWeight * (values[i + 1] ?? 0) + blueWeight * (values[i + 2] ?? 0);
  }
  const shift = ((1 - factor) * sum) / (values.length / 3);
  for (let i = 0; i < values.length; i++) values[i] = factor * (values[i] ?? 0) + shift;
};

/** Blends each pixel with its own grey: torchvision's adjust_saturation. */
export const changeSaturation: ColourChange = (values, factor) => {
  for (let i = 0; i < values.length; i += 3) {
    const red = values[i] ?? 0;
    const green = values[i + 1] ?? 0;
    const blue = values[i + 2] ?? 0;
    const shift = (1 - factor) * (redWeight * red + greenWeight * green + blueWeight * blue);
    values[i] = factor * red + shift;
    values[i + 1] = factor * green + shift;
    values[i + 2] = factor * blue + shift;
  }
};

/**
 * Turns the hue of HSV by a share of the circle, -0.5 to 0.5: torchvision's adjust_hue. Saturation and value are the
 * largest and smallest channel, which stay, so only the place of the three channels and the middle one are new.
 */
export const changeHue: ColourChange = (values, turn) => {
  const sixths = 6 * (turn - Math.floor(turn));
  for (let i = 0; i < values.length; i += 3) {
    const red = values[i] ?? 0;
    const green = values[i + 1] ?? 0;
    const blue = values[i + 2] ?? 0;
    const most = red > green ? (red > blue ? red : blue) : green > blue ? green : blue;
    const least = red < green ? (red < blue ? red : blue) : green < blue ? green : blue;
    const range = most - least;
    if (range === 0) continue;
    // In sixths of the circle: red at 0, green at 2, blue at 4; never below 0, and below 12 after the turn.
    let hue = sixths;
    if (most === red) hue += (green - blue) / range + (green < blue ? 6 : 0);
    else if (most === green) hue += (blue - red) / range + 2;
    else hue += (red - green) / range + 4;
    if (hue >= 6) hue -= 6;
    const rising = least + range * (hue - 2 * Math.floor(hue / 2));
    // It rises from the smallest to the largest in one sixth and falls back in the next.
    const middle = rising > most ? 2 * most - rising : rising;
    const sixth = Math.floor(hue);
    values[i] = sixth === 0 || sixth === 5 ? most : sixth === 1 || sixth === 4 ? middle : least;
    values[i + 1] = sixth === 1 || sixth === 2 ? most : sixth === 0 || sixth === 3 ? middle : least;
    values[i + 2] = sixth === 3 || sixth === 4 ? most : sixth === 2 || sixth === 5 ? middle : least;
  }
};

/** What red, green and blue weigh in grey, as in torchvision (ITU-R BT.601). */
const [redWeight, greenWeight, blueWeight] = [0.2989, 0.587, 0.114];

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
