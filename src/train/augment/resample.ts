import { keptArray, type Pixels } from './pixels.js';

/** A part of an image in whole pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** What each output of one axis is made of: `count` inputs from `starts[i]` on, weighted `weights[i * count ...]`. */
interface Taps {
  readonly starts: Int32Array;
  readonly weights: Float64Array;
  readonly count: number;
}

/** Cuts a box out and resamples it; the result lasts until the next call. */
export type Resample = (image: Pixels, box: Box) => Pixels;

/**
 * Bilinear resampling to one size, its triangle widened where it shrinks, as Pillow and torchvision do (antialias).
 * What lies outside the box counts for nothing.
 */
export function createResampler({ width, height }: Pick<Box, 'width' | 'height'>): Resample {
  const outOf = keptArray();
  // [box height, width, 3], kept as well.
  let rows = new Float64Array(0);

  return (image, box) => {
    if (rows.length < box.height * width * 3) rows = new Float64Array(box.height * width * 3);
    const across = axisTaps(box.width, width);
    resampleRows(image, { box, across, into: rows });
    const down = axisTaps(box.height, height);
    const values = outOf(width * height * 3);
    resampleColumns(rows, { rowLength: width * 3, down, into: values });
    return { values, width, height };
  };
}

function resampleRows(
  { values, width }: Pixels,
  { box, across, into }: { readonly box: Box; readonly across: Taps; readonly into: Float64Array },
): void {
  const { starts, weights, count } = across;
  let to = 0;
  for (let y = 0; y < box.height; y++) {
    const row = ((box.top + y) * width + box.left) * 3;
    for (let x = 0; x < starts.length; x++) {
      const from = row + (starts[x] ?? 0) * 3;
      const tap = x * count;
      const first = weights[tap] ?? 0;
      const second = weights[tap + 1] ?? 0;
      let red = first * (values[from] ?? 0) + second * (values[from + 3] ?? 0);
      let green = first * (values[from + 1] ?? 0) + second * (values[from + 4] ?? 0);
      let blue = first * (values[from + 2] ?? 0) + second * (values[from + 5] ?? 0);
      for (let k = 2; k < count; k++) {
        const weight = weights[tap + k] ?? 0;
        const at = from + 3 * k;
        red += weight * (values[at] ?? 0);
        green += weight * (values[at + 1] ?? 0);
        blue += weight * (values[at + 2] ?? 0);
      }
      into[to] = red;
      into[to + 1] = green;
      into[to + 2] = blue;
      to += 3;
    }
  }
}

function resampleColumns(
  rows: Float64Array,
  {
    rowLength,
    down,
    into,
  }: { readonly rowLength: number; readonly down: Taps; readonly into: Uint8ClampedArray },
): void {
  const { starts, weights, count } = down;
  for (let y = 0; y < starts.length; y++) {
    const from = (starts[y] ?? 0) * rowLength;
    const to = y * rowLength;
    const first = weights[y * count] ?? 0;
    const second = weights[y * count + 1] ?? 0;
    for (let i = 0; i < rowLength; i++) {
      let sum = first * (rows[from + i] ?? 0) + second * (rows[from + rowLength + i] ?? 0);
      for (let k = 2; k < count; k++) {
        sum += (weights[y * count + k] ?? 0) * (rows[from + k * rowLength + i] ?? 0);
      }
      into[to + i] = sum;
    }
  }
}

/** The triangle filter of Pillow's Resample.c: its half width is one input, or one output where that is wider. */
function axisTaps(length: number, size: number): Taps {
  const scale = length / size;
  const support = Math.max(1, scale);
  const count = Math.max(2, Math.min(length, Math.ceil(2 * support)));
  const starts = new Int32Array(size);
  const weights = new Float64Array(size * count);
  for (let i = 0; i < size; i++) {
    const centre = (i + 0.5) * scale;
    const least = Math.max(0, Math.floor(centre - support + 0.5));
    // So that every tap lies inside; the ones too many weigh nothing.
    const start = Math.max(0, Math.min(least, length - count));
    let sum = 0;
    for (let k = 0; k < count; k++) {
      const weight = start + k < length ? Math.max(0, 1 - Math.abs(start + k + 0.5 - centre) / support) : 0;
      weights[i * count + k] = weight;
      sum += weight;
    }
    for (let k = 0; k < count; k++) weights[i * count + k] = (weights[i * count + k] ?? 0) / sum;
    starts[i] = start;
  }
  return { starts, weights, count };
}
