import { mirrored } from './mirrored.js';
import { keptArray, uniform, type Augmentation, type Pixels } from './pixels.js';

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
