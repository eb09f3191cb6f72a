import {
  changeBrightness,
  changeContrast,
  changeHue,
  changeSaturation,
  type ColourChange,
} from './colour.js';
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
