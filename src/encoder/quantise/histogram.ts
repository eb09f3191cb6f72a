/** How often values of each size came, kept in bins around zero that double their width as larger values come. */
export interface Histogram {
  /** Of `bins`, from `-reach` to `reach`. */
  readonly counts: Float64Array;
  reach: number;
  /** What came, exactly. */
  least: number;
  most: number;
}

const bins = 8192;
const half = bins / 2;

export function emptyHistogram(): Histogram {
  return { counts: new Float64Array(bins), reach: 2 ** -20, least: Infinity, most: -Infinity };
}

/** Of one call: enough tell the shape of a distribution, and the ends are told by all. */
const mostCounted = 16_384;

/**
 * Takes in values `[n, channels, area]`, those outside the bounds as the bound, and the largest amount in each channel.
 * Of many, evenly chosen ones are counted.
 */
export function countValues(histogram: Histogram, values: Float32Array, options: CountOptions = {}): void {
  const { lower = -Infinity, upper = Infinity, channelMost } = options;
  const rows = channelMost === undefined ? 1 : (options.rows ?? 1);
  const area = values.length / rows;
  const bounded = (value: number): number => (value < lower ? lower : value > upper ? upper : value);
  for (let row = 0; row < rows; row++) {
    let least = Infinity;
    let most = -Infinity;
    const end = (row + 1) * area;
    for (let i = row * area; i < end; i++) {
      const value = values[i] as number;
      if (value < least) least = value;
      if (value > most) most = value;
    }
    least = bounded(least);
    most = bounded(most);
    if (least < histogram.least) histogram.least = least;
    if (most > histogram.most) histogram.most = most;
    if (channelMost === undefined) continue;
    const channel = row % channelMost.length;
    channelMost[channel] = Math.max(channelMost[channel] ?? 0, Math.abs(least), Math.abs(most));
  }
  const reach = Math.max(Math.abs(histogram.least), Math.abs(histogram.most));
  while (histogram.reach < reach) widen(histogram);
  const { counts } = histogram;
  const perUnit = half / histogram.reach;
  // Odd, so that it meets every column of an image whose width is even.
  const stride = Math.ceil(values.length / mostCounted) | 1;
  for (let i = 0; i < values.length; i += stride) {
    const bin = Math.min(bins - 1, Math.floor(bounded(values[i] as number) * perUnit + half));
    counts[bin] = (counts[bin] as number) + 1;
  }
}

interface CountOptions {
  readonly lower?: number | undefined;
  readonly upper?: number | undefined;
  /** `[channels]`, raised in place, and how many channels of images there are. */
  readonly channelMost?: Float64Array | undefined;
  readonly rows?: number | undefined;
}

function widen(histogram: Histogram): void {
  const { counts } = histogram;
  const wide = new Float64Array(bins);
  for (let i = 0; i < bins; i++) {
    const at = half / 2 + (i >> 1);
    wide[at] = (wide[at] ?? 0) + (counts[i] ?? 0);
  }
  counts.set(wide);
  histogram.reach *= 2;
}

export interface Range {
  /** At most 0. */
  readonly least: number;
  /** At least 0. */
  readonly most: number;
}

/** How the range of a value is told from what came: all of it, less of it, or what keeps the most of its distribution. */
export const calibrationMethods = ['min-max', 'percentile', 'entropy', 'squared-error'] as const;
export type CalibrationMethod = (typeof calibrationMethods)[number];

/** Of the values, which lie in the range that a percentile tells. */
const percentile = 0.9999;

/** The range that becomes the 256 values of a byte. */
export function rangeOf(histogram: Histogram, method: CalibrationMethod): Range {
  const all = { least: Math.min(0, histogram.least), most: Math.max(0, histogram.most) };
  if (!Number.isFinite(all.least) || !Number.isFinite(all.most)) return { least: 0, most: 0 };
  if (method === 'min-max') return all;
  if (method === 'percentile') return within(histogram, all);
  return leastOf(
    all,
    method === 'entropy'
      ? (range) => divergence(histogram, range)
      : (range) => squaredError(histogram, range),
  );
}

function within({ counts, reach }: Histogram, all: Range): Range {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const outside = ((1 - percentile) / (all.least < 0 ? 2 : 1)) * total;
  const width = reach / half;
  let high = bins;
  for (let sum = 0; high > half; high--) if ((sum += counts[high - 1] ?? 0) > outside) break;
  let low = 0;
  for (let sum = 0; low < half; low++) if ((sum += counts[low] ?? 0) > outside) break;
  return {
    least: Math.max(all.least, (low - half) * width),
    most: Math.min(all.most, (high - half) * width),
  };
}

const levels = 256;
const steps = 64;

/** Of ranges that shrink evenly towards zero, the one that costs least. */
function leastOf(all: Range, cost: (range: Range) => number): Range {
  let best = all;
  let least = Infinity;
  for (let step = steps; step >= steps / 4; step--) {
    const range = { least: (all.least * step) / steps, most: (all.most * step) / steps };
    const costs = cost(range);
    if (costs < least) [best, least] = [range, costs];
  }
  return best;
}

/** What 256 levels and clipping make wrong. */
function squaredError({ counts, reach }: Histogram, { least, most }: Range): number {
  const width = reach / half;
  const step = (most - least) / (levels - 1);
  let sum = 0;
  for (const [i, count] of counts.entries()) {
    if (count === 0) continue;
    // The bin that begins at 0 holds the zeros of a ReLU, which are exact.
    const value = i === half ? 0 : (i - half + 0.5) * width;
    const level = Math.max(least, Math.min(most, Math.round(value / step) * step));
    sum += count * (value - level) ** 2;
  }
  return sum;
}

/**
 * How much less 256 levels tell of the distribution, by the divergence of Kullback and Leibler (Migacz, 8-bit inference
 * with TensorRT, 2017).
 */
function divergence({ counts, reach }: Histogram, { least, most }: Range): number {
  const width = reach / half;
  const first = Math.max(0, Math.floor(least / width) + half);
  const last = Math.min(bins - 1, Math.ceil(most / width) + half - 1);
  const inside = last - first + 1;
  if (inside < levels) return Infinity;
  // What is clipped piles up at the ends of what is kept, and has no place in its levels.
  const clipped = Float64Array.from(counts.subarray(first, last + 1));
  const kept = Float64Array.from(clipped);
  for (let i = 0; i < first; i++) clipped[0] = (clipped[0] ?? 0) + (counts[i] ?? 0);
  for (let i = last + 1; i < bins; i++) clipped[inside - 1] = (clipped[inside - 1] ?? 0) + (counts[i] ?? 0);
  const levelled = new Float64Array(inside);
  for (let level = 0; level < levels; level++) {
    const from = Math.floor((level * inside) / levels);
    const to = Math.floor(((level + 1) * inside) / levels);
    let sum = 0;
    let filled = 0;
    for (let i = from; i < to; i++) {
      sum += kept[i] ?? 0;
      if ((clipped[i] ?? 0) > 0) filled++;
    }
    for (let i = from; i < to; i++) if ((clipped[i] ?? 0) > 0) levelled[i] = sum / filled;
  }
  const total = clipped.reduce((sum, count) => sum + count, 0);
  const totalLevelled = levelled.reduce((sum, count) => sum + count, 0);
  let lost = 0;
  for (let i = 0; i < inside; i++) {
    const p = (clipped[i] ?? 0) / total;
    if (p === 0) continue;
    const q = (levelled[i] ?? 0) / totalLevelled;
    lost += p * Math.log(p / Math.max(q, 1e-12));
  }
  return lost;
}
