import { align, noWarp, sideOf, type Warp, warped } from './align.js';

/** Side of the RGB pictures that are compared, `[side, side, 3]`: stretched, so that every picture has one size. */
export const comparedSide = 64;
/** A block has 8 x 8 pixels of the 64 x 64. */
const blockSide = 8;

/** A picture as it is compared: grey and a little smoothed, since what JPEG does to single pixels is no difference. */
export interface ComparedPicture {
  readonly coarse: Float32Array; // [16, 16]
  readonly middle: Float32Array; // [32, 32]
  readonly fine: Float32Array; // [64, 64]
  /** `[64, 64]`: less the mean of its surroundings, so that a backdrop or a shade counts for nothing. */
  readonly detail: Float32Array;
  /** `[2, 16, 16]`: blue and red, each less the grey. */
  readonly colour: readonly [Float32Array, Float32Array];
}

/** `[16, 16]` of greys: enough to tell most pictures apart, and little to hold of each image of a set. */
export function coarsePicture(rgb: Uint8Array): Float32Array {
  const grey = new Float32Array(comparedSide * comparedSide);
  for (let i = 0; i < grey.length; i++) grey[i] = lumaOf(rgb, 3 * i);
  return halved(halved(grey));
}

/** As in ITU-R BT.601. */
function lumaOf(rgb: Uint8Array, at: number): number {
  return 0.299 * (rgb[at] as number) + 0.587 * (rgb[at + 1] as number) + 0.114 * (rgb[at + 2] as number);
}

/** A grey picture of any side, a little smoothed. */
function smoothGrey(rgb: Uint8Array): Float32Array {
  return blurred(
    Float32Array.from({ length: rgb.length / 3 }, (_, i) => lumaOf(rgb, 3 * i)),
    [0.25, 0.5, 0.25],
  );
}

/** A picture less the mean of its surroundings, 9 x 9. */
function detailOf(fine: Float32Array): Float32Array {
  const around = blurred(fine, Array<number>(9).fill(1 / 9));
  return fine.map((value, i) => value - (around[i] as number));
}

export function comparedPicture(rgb: Uint8Array): ComparedPicture {
  const pixels = comparedSide * comparedSide;
  const grey = new Float32Array(pixels);
  const blue = new Float32Array(pixels);
  const red = new Float32Array(pixels);
  for (let i = 0; i < pixels; i++) {
    const luma = lumaOf(rgb, 3 * i);
    grey[i] = luma;
    red[i] = (rgb[3 * i] as number) - luma;
    blue[i] = (rgb[3 * i + 2] as number) - luma;
  }
  const fine = blurred(grey, [0.25, 0.5, 0.25]);
  const middle = halved(fine);
  return {
    ...{ fine, middle, coarse: halved(middle) },
    detail: detailOf(fine),
    colour: [halved(halved(blue)), halved(halved(red))],
  };
}

function mirrored(values: Float32Array): Float32Array {
  const side = sideOf(values);
  return values.map((_, i) => values[i + side - 1 - 2 * (i % side)] as number);
}

/** Means of 2 x 2. */
function halved(values: Float32Array): Float32Array {
  const side = sideOf(values);
  const into = new Float32Array(values.length / 4);
  for (let i = 0; i < into.length; i++) {
    const x = i % (side / 2);
    const at = 2 * side * ((i - x) / (side / 2)) + 2 * x;
    const [a, b] = [values[at] as number, values[at + 1] as number];
    into[i] = (a + b + (values[at + side] as number) + (values[at + side + 1] as number)) / 4;
  }
  return into;
}

/** By a kernel along both axes; the edge goes on outside. */
function blurred(values: Float32Array, kernel: readonly number[]): Float32Array {
  const side = sideOf(values);
  const reach = (kernel.length - 1) / 2;
  /** Along the rows, and turned about the diagonal: twice is both axes and upright again. */
  const along = (from: Float32Array): Float32Array => {
    const into = new Float32Array(from.length);
    for (let y = 0; y < side; y++) {
      for (let x = 0; x < side; x++) {
        let sum = 0;
        for (let k = 0; k < kernel.length; k++) {
          const near = Math.min(side - 1, Math.max(0, x + k - reach));
          sum += (kernel[k] as number) * (from[y * side + near] as number);
        }
        into[x * side + y] = sum;
      }
    }
    return into;
  };
  return along(along(values));
}

/** Pearson's correlation, where b reaches; 0 where either is flat. */
function correlation(a: Float32Array, b: Float32Array): number {
  let n = 0;
  let sumA = 0;
  let sumB = 0;
  let squareA = 0;
  let squareB = 0;
  let product = 0;
  for (let i = 0; i < a.length; i++) {
    const one = a[i] as number;
    const other = b[i] as number;
    if (Number.isNaN(other)) continue;
    n++;
    sumA += one;
    sumB += other;
    squareA += one * one;
    squareB += other * other;
    product += one * other;
  }
  const variances = (squareA - (sumA * sumA) / n) * (squareB - (sumB * sumB) / n);
  return variances > 1e-3 * n ? (product - (sumA * sumB) / n) / Math.sqrt(variances) : 0;
}

/** In levels of grey and of colour: pictures nowhere farther apart are equal. What JPEG does to an even picture is less. */
const equalWithin = 2;

const isWithin = (a: Float32Array, b: Float32Array, levels: number): boolean =>
  a.every((value, i) => Math.abs(value - (b[i] as number)) <= levels);

function areEqual(a: ComparedPicture, b: ComparedPicture): boolean {
  const [blue, red] = b.colour;
  return (
    isWithin(a.fine, b.fine, equalWithin) &&
    isWithin(a.colour[0], blue, equalWithin) &&
    isWithin(a.colour[1], red, equalWithin)
  );
}

const coarseSteps = 5;
/** Of coarse pictures as they lie. Copies with 5 % off each edge have 0.67 and more; random pairs of photos about 0.3. */
const coarseAsTheyLie = 0.5;

/**
 * What the steps of a comparison ask for. Chosen on half of the training photos of clothes and on the textures: copies of
 * any kind have 0.82, 0.89, 0.93 and 0.95; different photos on one backdrop have 0.87 and 0.86 of the last two at most.
 * bench/audit-photos.ts measures them on the other half.
 */
const alike = { coarse: 0.75, middle: 0.85, detail: 0.9, blocks: 0.9 };
/** Of the blocks with texture, the correlation that this share does not reach is the one that counts. */
const worstBlocks = 0.3;
/** With fewer blocks of texture only equal pixels are a copy. */
const leastBlocks = 6;
/** With fewer a look up close decides: a line of print fills eight of the 64. */
const richBlocks = 16;
/** Mean square of the detail of a block that cannot be missing in a copy, in levels, and as a share of the mean. */
const strongTexture = 16;
const strongOfMean = 0.1;
/** Such a block correlates at least so much in copies. */
const alikeInPlace = 0.5;
/** In levels of blue and red against grey, in the mean: a pattern in other colours is another picture. */
const mostColour = 14;

/** Coarse pictures are not smoothed, so a copy may correlate this much less than `alike` asks of smoothed ones. */
const coarseAllowance = 0.05;

/**
 * Whether a closer look could find two coarse pictures the same, one mirrored or not. It takes the first step of that look,
 * so that few pairs are read again.
 */
export function mayBeSame(a: Float32Array, b: Float32Array): boolean {
  if (isWithin(a, b, 2 * equalWithin)) return true;
  return [b, mirrored(b)].some((other) => {
    if (correlation(a, other) < coarseAsTheyLie) return false;
    const warp = align(a, other, noWarp, coarseSteps);
    return warp !== undefined && correlation(a, warped(other, warp)) >= alike.coarse - coarseAllowance;
  });
}

/** How two pictures are one. */
export interface Likeness {
  /** Whether one is the other's mirror image. */
  readonly mirrored: boolean;
  /** Whether a strong pattern of one place is missing in the other: a copy with a mark on it, or two of a kind. */
  readonly differsInPlace: boolean;
  /** Whether so little stands out that two pictures of fine print could pass: `isSameUpClose` tells. */
  readonly isPlain: boolean;
  /** From the places of the first to those of the other, mirrored where it is. */
  readonly warp: Warp;
}

/**
 * Whether two pictures are one photo: saved again, resized, cropped a little, mirrored, brighter or darker. One is brought
 * onto the other, from coarse to fine; then what stands out of its surroundings has to correlate, as a whole and in most
 * blocks that have any texture. Two products on one backdrop agree in the backdrop and in the outline at best. Undefined
 * where they are not.
 */
export function likenessOf(a: ComparedPicture, b: ComparedPicture): Likeness | undefined {
  if (areEqual(a, b)) {
    const isPlain = detailCorrelations(a.detail, b.detail).blocks.length < richBlocks;
    return { mirrored: false, differsInPlace: false, isPlain, warp: noWarp };
  }
  return copyLikeness(a, b, false) ?? copyLikeness(a, b, true);
}

/** Side of the RGB pictures that plain pictures are compared at, `[side, side, 3]`: fine print shows. */
export const closeSide = 512;
/** What stands out of two plain pictures up close correlates so much, but in a tenth of the blocks. */
const alikeUpClose = { detail: 0.9, blocks: 0.8, worstBlocks: 0.1 };

/** Whether two pictures that are alike, at 64 x 64, are so in what shows up close too. */
export function isSameUpClose(
  a: Uint8Array,
  b: Uint8Array,
  { mirrored: isMirrored, warp }: Likeness,
): boolean {
  // Most are, and little of the time that the rest takes tells it.
  if (a.every((value, i) => Math.abs(value - (b[i] as number)) <= 2 * equalWithin)) return true;
  const [one, other] = [detailOf(smoothGrey(a)), detailOf(smoothGrey(b))];
  const { whole, blocks } = detailCorrelations(one, warped(isMirrored ? mirrored(other) : other, warp));
  if (blocks.length === 0) return true;
  const { detail, blocks: least, worstBlocks: share } = alikeUpClose;
  return whole >= detail && (blocks[Math.floor(share * blocks.length)]?.correlation ?? 0) >= least;
}

function mirroredPicture({ coarse, middle, fine, detail, colour }: ComparedPicture): ComparedPicture {
  return {
    ...{ coarse: mirrored(coarse), middle: mirrored(middle), fine: mirrored(fine), detail: mirrored(detail) },
    colour: [mirrored(colour[0]), mirrored(colour[1])],
  };
}

function copyLikeness(
  a: ComparedPicture,
  original: ComparedPicture,
  isMirrored: boolean,
): Likeness | undefined {
  const coarse = isMirrored ? mirrored(original.coarse) : original.coarse;
  const first = align(a.coarse, coarse, noWarp, coarseSteps);
  if (first === undefined || correlation(a.coarse, warped(coarse, first)) < alike.coarse) return undefined;
  const b = isMirrored ? mirroredPicture(original) : original;
  const second = align(a.middle, b.middle, first, 4);
  if (second === undefined || correlation(a.middle, warped(b.middle, second)) < alike.middle)
    return undefined;
  const warp = align(a.fine, b.fine, second, 2);
  if (warp === undefined || colourDifference(a, b, warp) > mostColour) return undefined;
  const { whole, blocks, energy } = detailCorrelations(a.detail, warped(b.detail, warp));
  if (blocks.length < leastBlocks || whole < alike.detail) return undefined;
  if ((blocks[Math.floor(worstBlocks * blocks.length)]?.correlation ?? 0) < alike.blocks) return undefined;
  const strong = Math.max(strongTexture, strongOfMean * energy);
  return {
    mirrored: isMirrored,
    differsInPlace: blocks.some((one) => one.energy > strong && one.correlation < alikeInPlace),
    isPlain: blocks.length < richBlocks,
    warp,
  };
}

function colourDifference(a: ComparedPicture, b: ComparedPicture, warp: Warp): number {
  let [sum, n] = [0, 0];
  for (const channel of [0, 1] as const) {
    const other = warped(b.colour[channel], warp);
    for (const [i, value] of a.colour[channel].entries()) {
      const difference = Math.abs(value - (other[i] as number));
      if (Number.isNaN(difference)) continue;
      sum += difference;
      n++;
    }
  }
  return sum / n;
}

/** Mean square of a block's detail, in levels: below it there is nothing but the noise of JPEG. */
const leastTexture = 4;
/** Nor below this share of what the picture has in the mean. */
const leastOfMean = 0.1;
/** Of the 64 pixels of a block that the other picture has to reach. */
const leastReached = 24;

interface BlockCorrelation {
  readonly correlation: number;
  /** The mean square of the detail, in the picture that has more of it. */
  readonly energy: number;
}

/** The correlation of detail as a whole, and in each block that has texture in either picture, ascending. */
function detailCorrelations(
  a: Float32Array,
  b: Float32Array,
): { whole: number; energy: number; blocks: BlockCorrelation[] } {
  const side = sideOf(a);
  const across = side / blockSide;
  const sums = Array.from({ length: across * across }, () => ({ a: 0, b: 0, both: 0, n: 0 }));
  for (let i = 0; i < a.length; i++) {
    const [one, other] = [a[i] as number, b[i] as number];
    if (Number.isNaN(other)) continue;
    const [x, y] = [i % side, Math.floor(i / side)];
    const block = sums[across * Math.floor(y / blockSide) + Math.floor(x / blockSide)];
    if (block === undefined) continue;
    block.a += one * one;
    block.b += other * other;
    block.both += one * other;
    block.n++;
  }
  const total = sums.reduce((all, one) => ({
    a: all.a + one.a,
    b: all.b + one.b,
    both: all.both + one.both,
    n: all.n + one.n,
  }));
  const gain = total.a / Math.max(total.b, 1e-9); // of squares
  const least = Math.max(leastTexture, (leastOfMean * total.a) / total.n);
  const of = (one: { a: number; b: number; both: number }): number =>
    one.both / Math.sqrt(Math.max(one.a * one.b, 1e-9));
  const blocks = sums
    .filter((one) => one.n >= leastReached)
    .map((one) => ({ correlation: of(one), energy: Math.max(one.a, gain * one.b) / one.n }))
    .filter(({ energy }) => energy > least)
    .sort((one, other) => one.correlation - other.correlation);
  return { whole: of(total), energy: total.a / total.n, blocks };
}
