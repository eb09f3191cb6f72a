import type { Pixels } from './augment/pixels.js';

const gap = 4;
/** Between the originals and their views. */
const wideGap = 12;
/** Small images are enlarged by a whole factor towards this many pixels, so that each pixel is seen. */
const cellTarget = 96;
const paper = 255;

/** Rows of images of one size on white, the first of each row set apart. */
export function contactSheet(rows: readonly (readonly Pixels[])[]): Pixels {
  const side = rows[0]?.[0]?.width ?? 1;
  const factor = Math.max(1, Math.floor(cellTarget / side));
  const cell = side * factor;
  const columns = Math.max(...rows.map(({ length }) => length));
  const width = gap + columns * (cell + gap) + (columns > 1 ? wideGap - gap : 0);
  const height = gap + rows.length * (cell + gap);
  const values = new Uint8ClampedArray(width * height * 3).fill(paper);
  for (const [row, images] of rows.entries()) {
    for (const [column, image] of images.entries()) {
      const left = gap + column * (cell + gap) + (column > 0 ? wideGap - gap : 0);
      const top = gap + row * (cell + gap);
      draw(image, { values, width, left, top, factor });
    }
  }
  return { values, width, height };
}

interface Place {
  readonly values: Uint8ClampedArray;
  readonly width: number;
  readonly left: number;
  readonly top: number;
  readonly factor: number;
}

function draw(image: Pixels, { values, width, left, top, factor }: Place): void {
  for (let y = 0; y < image.height * factor; y++) {
    for (let x = 0; x < image.width * factor; x++) {
      const from = (Math.floor(y / factor) * image.width + Math.floor(x / factor)) * 3;
      values.set(image.values.subarray(from, from + 3), ((top + y) * width + left + x) * 3);
    }
  }
}
