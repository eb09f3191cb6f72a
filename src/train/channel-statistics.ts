import type { DecodedImages } from './images.js';

export interface ChannelStatistics {
  /** Of red, green and blue, scaled to 0..1. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}

/** A picture of one colour has no spread, and nothing may be divided by it. */
const leastStd = 1e-3;

/** Mean and standard deviation of each channel over all pixels of all images. */
export function channelStatistics({ pixels, count, side }: DecodedImages): ChannelStatistics {
  const values = new Uint8Array(pixels, 0, count * side * side * 3);
  // Counts are exact, so the figures do not depend on the order of the sums.
  const counts = [new Float64Array(256), new Float64Array(256), new Float64Array(256)] as const;
  const [red, green, blue] = counts;
  for (let i = 0; i < values.length; i += 3) {
    const r = values[i] ?? 0;
    const g = values[i + 1] ?? 0;
    const b = values[i + 2] ?? 0;
    red[r] = (red[r] ?? 0) + 1;
    green[g] = (green[g] ?? 0) + 1;
    blue[b] = (blue[b] ?? 0) + 1;
  }
  const total = values.length / 3;
  const meanOf = (channel: Float64Array): number =>
    channel.reduce((sum, often, value) => sum + often * value, 0) / total / 255;
  const stdOf = (channel: Float64Array): number => {
    const mean = meanOf(channel);
    const variance =
      channel.reduce((sum, often, value) => sum + often * (value / 255 - mean) ** 2, 0) / total;
    return Math.max(leastStd, Math.sqrt(variance));
  };
  return {
    mean: [meanOf(red), meanOf(green), meanOf(blue)],
    std: [stdOf(red), stdOf(green), stdOf(blue)],
  };
}
