import sharp from 'sharp';
import type { Sharp } from 'sharp';

export type Colour = readonly [number, number, number];

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** One colour all over. */
export function solid([r, g, b]: Colour, { width, height }: Size = { width: 8, height: 8 }): Sharp {
  return sharp({ create: { width, height, channels: 3, background: { r, g, b } } });
}

/** A seeded byte generator (mulberry32), so that a drawing is the same in every run. */
export function seededBytes(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) & 255;
  };
}

/** Gradients with noise, so that every format has something to encode; `[height, width, 3]`. */
export function scenePixels({ width, height }: Size, seed = 1): Uint8Array {
  const next = seededBytes(seed);
  const pixels = new Uint8Array(width * height * 3);
  for (let i = 0; i < pixels.length; i++) {
    const x = Math.floor(i / 3) % width;
    const y = Math.floor(i / 3 / width);
    pixels[i] = (((x * ((i % 3) + 1) + y * 2) & 255) * 3 + next()) / 4;
  }
  return pixels;
}

export function scene(size: Size, seed = 1): Sharp {
  return sharp(scenePixels(size, seed), { raw: { ...size, channels: 3 } });
}

/** What each quarter of the picture holds: `[top left, top right, bottom left, bottom right]`. */
export type Quarters = readonly [Colour, Colour, Colour, Colour];

export function quarters(colours: Quarters, { width, height }: Size): Sharp {
  const pixels = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const quarter = (y < height / 2 ? 0 : 2) + (x < width / 2 ? 0 : 1);
      pixels.set(colours[quarter] ?? [0, 0, 0], (y * width + x) * 3);
    }
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

/** The pixel at x, y of `[height, width, 3]`. */
export function pixelAt(pixels: Uint8Array, width: number, [x, y]: readonly [number, number]): Colour {
  const at = (y * width + x) * 3;
  return [pixels[at] ?? NaN, pixels[at + 1] ?? NaN, pixels[at + 2] ?? NaN];
}

/** The largest difference in any channel of any pixel from one colour. */
export function farthestFrom(pixels: Uint8Array, colour: Colour): number {
  return pixels.reduce((worst, value, i) => Math.max(worst, Math.abs(value - (colour[i % 3] ?? NaN))), 0);
}
