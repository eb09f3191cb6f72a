import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  colourJitter,
  changeBrightness,
  changeContrast,
  changeHue,
  changeSaturation,
  toGrey,
  type ColourChange,
} from '../../../src/train/augment/colour.js';
import { colours, draws, type Rgb } from './images.js';

function changed(change: ColourChange, amount: number, ...pixels: readonly Rgb[]): number[] {
  const { values } = colours(...pixels);
  change(values, amount);
  return [...values];
}

describe('brightness, contrast and saturation', () => {
  it('blends with black, clipped at white', () => {
    expect(changed(changeBrightness, 1.5, [100, 200, 10])).toEqual([150, 255, 15]);
    expect(changed(changeBrightness, 0, [100, 200, 10])).toEqual([0, 0, 0]);
  });

  it('blends with the mean grey of the image', () => {
    // Greys 50 and 150: their mean is 100 (the weights add up to 0.9999).
    expect(changed(changeContrast, 0.5, [50, 50, 50], [150, 150, 150])).toEqual([75, 75, 75, 125, 125, 125]);
    expect(changed(changeContrast, 0, [50, 50, 50], [150, 150, 150])).toEqual(Array(6).fill(100));
  });

  it('blends each pixel with its own grey', () => {
    // 0.2989 * 100 + 0.587 * 200 = 147.29; half of the way there.
    expect(changed(changeSaturation, 0.5, [100, 200, 0])).toEqual([124, 174, 74]);
    expect(changed(changeSaturation, 0, [100, 200, 0])).toEqual([147, 147, 147]);
  });
});

describe('hue', () => {
  it('turns red into green by a third of the circle and into blue by two', () => {
    expect(changed(changeHue, 1 / 3, [200, 0, 0])).toEqual([0, 200, 0]);
    expect(changed(changeHue, -1 / 3, [200, 0, 0])).toEqual([0, 0, 200]);
    expect(changed(changeHue, 1 / 2, [200, 0, 0])).toEqual([0, 200, 200]);
  });

  it('moves the middle channel along the edge of the colour cube', () => {
    // Hue 30 degrees (orange, green half up) and 60 more are 90: red half down.
    expect(changed(changeHue, 1 / 6, [240, 140, 40])).toEqual([140, 240, 40]);
  });

  it('leaves greys alone, and every colour where it does not turn', () => {
    expect(changed(changeHue, 0.3, [77, 77, 77])).toEqual([77, 77, 77]);
    const all: Rgb[] = [
      [1, 2, 3],
      [3, 2, 1],
      [2, 3, 1],
      [2, 1, 3],
      [1, 3, 2],
      [3, 1, 2],
      [9, 9, 1],
      [1, 9, 9],
      [9, 1, 9],
    ];
    expect(changed(changeHue, 0, ...all)).toEqual(all.flat());
  });
});

describe('to grey', () => {
  it('weighs the channels 0.2989, 0.587 and 0.114 when the draw is below its probability', () => {
    const grey = toGrey({ probability: 0.2 });
    expect([...grey(colours([255, 0, 0], [0, 255, 0], [0, 0, 255]), draws(0.19)).values]).toEqual([
      76, 76, 76, 150, 150, 150, 29, 29, 29,
    ]);
    const image = colours([1, 2, 3]);
    expect(grey(image, draws(0.2))).toBe(image);
  });
});

describe('colour jitter', () => {
  it('applies what was drawn in the order that was drawn', () => {
    const jitter = colourJitter({ probability: 1, brightness: 1, contrast: 1, saturation: 0, hue: 0 });
    const image = colours([50, 50, 50], [150, 150, 150]);
    // Contrast (the second of two) by 0.5, then brightness by 2.
    const contrastFirst = jitter(image, draws(0, 0.9, 0.25, 0, 1));
    expect([...contrastFirst.values]).toEqual([150, 150, 150, 250, 250, 250]);
    // Brightness by 2, which clips, then contrast by 0.5: the mean is 177.5.
    const brightnessFirst = jitter(image, draws(0, 0, 1, 0, 0.25));
    expect([...brightnessFirst.values]).toEqual([139, 139, 139, 216, 216, 216]);
    expect([...image.values]).toEqual([50, 50, 50, 150, 150, 150]);
  });

  it('changes nothing when the draw is not below its probability', () => {
    const image = colours([1, 2, 3]);
    const jitter = colourJitter({ probability: 0.8, brightness: 1, contrast: 1, saturation: 1, hue: 0.5 });
    expect(jitter(image, draws(0.8))).toBe(image);
  });
});

interface Recorded {
  readonly pixels: number[];
  readonly cases: readonly {
    readonly change: string;
    readonly amount: number;
    readonly expected: number[];
  }[];
}

describe('against torchvision', () => {
  const file = new URL('../../fixtures/torchvision/colour.json', import.meta.url);
  const { pixels, cases } = JSON.parse(readFileSync(file, 'utf8')) as Recorded;
  const changes: Readonly<Record<string, ColourChange>> = {
    brightness: changeBrightness,
    contrast: changeContrast,
    saturation: changeSaturation,
    hue: changeHue,
  };

  it.each(cases)('$change by $amount is what it records, to the rounding', ({ change, amount, expected }) => {
    const values = Uint8ClampedArray.from(pixels);
    changes[change]?.(values, amount);
    const apart = expected.map((value, i) => Math.abs(value - (values[i] ?? NaN)));
    expect(Math.max(...apart)).toBeLessThanOrEqual(0.51);
  });
});
