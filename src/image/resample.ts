import type { Kernel, Size } from './geometry.js';

/** uint8 RGB `[height, width, 3]`. */
export interface Pixels extends Size {
  readonly data: Uint8Array;
}

/** An image is resized to `size`, and of that only `crop` is made. */
export interface Resampling {
  /** Of the image in its own pixels; the last of them may be there in part, or not at all. */
  readonly from: Size;
  readonly size: Size;
  readonly crop: Size & { readonly left: number; readonly top: number };
  readonly kernel: Kernel;
}

/** A filter, and how far from its centre it is not zero. */
interface Filter {
  readonly support: number;
  weigh(x: number): number;
}

/** Keys' family with B and C of Mitchell and Netravali (1988), by |x| below 2. */
function cubic(b: number, c: number): Filter {
  return {
    support: 2,
    weigh: (at) => {
      const x = Math.abs(at);
      if (x < 1) return ((12 - 9 * b - 6 * c) * x ** 3 + (-18 + 12 * b + 6 * c) * x ** 2 + 6 - 2 * b) / 6;
      if (x >= 2) return 0;
      return (
        ((-b - 6 * c) * x ** 3 + (6 * b + 30 * c) * x ** 2 + (-12 * b - 48 * c) * x + 8 * b + 24 * c) / 6
      );
    },
  };
}

function lanczos(support: number): Filter {
  const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  return { support, weigh: (x) => (Math.abs(x) < support ? sinc(x) * sinc(x / support) : 0) };
}

const filters: Readonly<Record<Exclude<Kernel, 'nearest'>, Filter>> = {
  linear: { support: 1, weigh: (x) => Math.max(0, 1 - Math.abs(x)) },
  cubic: cubic(0, 0.5),
  mitchell: cubic(1 / 3, 1 / 3),
  lanczos2: lanczos(2),
  lanczos3: lanczos(3),
};

/** What each output of one axis is made of: `count` inputs from `starts[i]` on, weighted `weights[i * count ...]`. */
interface Taps {
  readonly starts: Int32Array;
  /** Fixed point: `one` is 1. */
  readonly weights: Int32Array;
  readonly count: number;
}

/** Of the widest filter, both sides of its centre. */
const widestSupport = 6;

/** Of the weights' fixed point: 8 bits of a sample, a sign, and one bit for what a filter overshoots are left. */
const precision = 22;
const one = 2 ** precision;

/**
 * Resizes as Pillow's `Image.resize` does, to the last bit: each filter is widened by as much as the image shrinks, rows
 * first, rounded to a byte between the two passes.
 * https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c
 */
export function resample(image: Pixels, { from, size, crop, kernel }: Resampling): Uint8Array {
  const across = tapsOf({
    ...{ length: image.width, scale: from.width / size.width },
    ...{ first: crop.left, count: crop.width, kernel },
  });
  const down = tapsOf({
    ...{ length: image.height, scale: from.height / size.height },
    ...{ first: crop.top, count: crop.height, kernel },
  });
  return resampleBoth(image, across, down);
}

/** How many multiplications it takes, at most: an image of one column is made wide before it is made short. */
export function resamplingWork(
  image: Size,
  { size, crop }: { readonly size: Size; readonly crop: Size },
): number {
  const taps = (length: number, made: number): number =>
    Math.min(length, widestSupport * Math.max(1, length / made) + 1);
  const [across, down] = [taps(image.width, size.width), taps(image.height, size.height)];
  const rows = Math.min(image.height, (crop.height * image.height) / size.height + down);
  return 3 * crop.width * (rows * across + crop.height * down);
}

interface Axis {
  /** Of the inputs. */
  readonly length: number;
  /** Inputs for each output. */
  readonly scale: number;
  /** Of the outputs that are made. */
  readonly first: number;
  readonly count: number;
  readonly kernel: Kernel;
}

function tapsOf({ length, scale, first, count, kernel }: Axis): Taps {
  // Kept whole: every filter but the nearest would be 1 in its middle and 0 about it.
  if (scale === 1 || kernel === 'nearest') {
    const starts = Int32Array.from({ length: count }, (_, i) =>
      Math.min(length - 1, Math.floor((first + i + 0.5) * scale)),
    );
    return { starts, weights: new Int32Array(count).fill(one), count: 1 };
  }
  const filter = filters[kernel];
  const widened = Math.max(1, scale);
  // As Pillow has it: divided instead, some weights would be rounded to another whole number.
  const perInput = 1 / widened;
  const support = filter.support * widened;
  const most = Math.min(length, 2 * Math.ceil(support) + 1);
  const starts = new Int32Array(count);
  const weights = new Int32Array(count * most);
  const own = new Float64Array(most);
  for (let i = 0; i < count; i++) {
    const centre = (first + i + 0.5) * scale;
    const least = Math.max(0, Math.trunc(centre - support + 0.5));
    const end = Math.min(length, Math.trunc(centre + support + 0.5));
    // Every tap lies inside; the ones too many weigh nothing.
    const start = Math.min(least, length - most);
    let sum = 0;
    for (let k = 0; k < most; k++) {
      const at = start + k;
      const isInside = at >= least && at < end;
      own[k] = isInside ? filter.weigh((at - centre + 0.5) * perInput) : 0;
      sum += own[k] ?? 0;
    }
    for (let k = 0; k < most; k++) weights[i * most + k] = fixed((own[k] ?? 0) / sum);
    starts[i] = start;
  }
  return { starts, weights, count: most };
}

/** Rounded half away from zero. */
function fixed(weight: number): number {
  return Math.trunc(weight * one + (weight < 0 ? -0.5 : 0.5));
}

/** Each row is resampled and added to the outputs that it is a part of: never more than one of them is held. */
function resampleBoth({ data, width }: Pixels, across: Taps, down: Taps): Uint8Array {
  const outputs = down.starts.length;
  const rowLength = across.starts.length * 3;
  const row = new Uint8ClampedArray(rowLength);
  const sums = new Int32Array(outputs * rowLength).fill(one >> 1);
  const startOf = (output: number): number => down.starts[output] as number;
  // Starts never fall: a row is a part of `begun` outputs and those after it, up to the first that starts below it.
  let begun = 0;
  for (let y = startOf(0); y < startOf(outputs - 1) + down.count; y++) {
    while (startOf(begun) + down.count <= y) begun++;
    if (startOf(begun) > y) continue;
    resampleRow(row, data.subarray(y * width * 3), across);
    for (let output = begun; output < outputs && startOf(output) <= y; output++) {
      const weight = down.weights[output * down.count + y - startOf(output)] as number;
      if (weight !== 0) addRow(sums, { row, weight, to: output * rowLength });
    }
  }
  const made = new Uint8ClampedArray(sums.length);
  for (let i = 0; i < made.length; i++) made[i] = (sums[i] as number) >> precision;
  return new Uint8Array(made.buffer);
}

function resampleRow(row: Uint8ClampedArray, data: Uint8Array, { starts, weights, count }: Taps): void {
  for (let x = 0, to = 0; x < starts.length; x++, to += 3) {
    let red = one >> 1;
    let green = red;
    let blue = red;
    let at = (starts[x] as number) * 3;
    const end = (x + 1) * count;
    for (let tap = x * count; tap < end; tap++, at += 3) {
      const weight = weights[tap] as number;
      red = (red + Math.imul(weight, data[at] as number)) | 0;
      green = (green + Math.imul(weight, data[at + 1] as number)) | 0;
      blue = (blue + Math.imul(weight, data[at + 2] as number)) | 0;
    }
    row[to] = red >> precision;
    row[to + 1] = green >> precision;
    row[to + 2] = blue >> precision;
  }
}

interface Share {
  readonly row: Uint8ClampedArray;
  readonly weight: number;
  /** Where in `sums` the output begins. */
  readonly to: number;
}

function addRow(sums: Int32Array, { row, weight, to }: Share): void {
  for (let i = 0; i < row.length; i++) {
    sums[to + i] = ((sums[to + i] as number) + Math.imul(weight, row[i] as number)) | 0;
  }
}
