/** Side of the thumbnails that are compared. */
export const comparedSide = 16;

/**
 * Pearson's correlation of two RGB pictures `[height, width, 3]` of one size about the mean of each channel, -1 to 1: 1
 * for the same picture, whatever its brightness and contrast; a shared colour alone counts for nothing. Two even
 * pictures correlate fully where they are alike to a grey level, else not at all.
 */
export function pixelCorrelation(a: Uint8Array, b: Uint8Array): number {
  const meansA = channelMeans(a);
  const meansB = channelMeans(b);
  let covariance = 0;
  let varianceA = 0;
  let varianceB = 0;
  for (let i = 0; i < a.length; i++) {
    const da = (a[i] ?? NaN) - (meansA[i % 3] ?? NaN);
    const db = (b[i] ?? NaN) - (meansB[i % 3] ?? NaN);
    covariance += da * db;
    varianceA += da * da;
    varianceB += db * db;
  }
  if (varianceA === 0 || varianceB === 0) {
    return a.every((value, i) => Math.abs(value - (b[i] ?? NaN)) <= 1) ? 1 : 0;
  }
  return covariance / Math.sqrt(varianceA * varianceB);
}

function channelMeans(pixels: Uint8Array): readonly number[] {
  const sums = [0, 0, 0];
  for (const [i, value] of pixels.entries()) sums[i % 3] = (sums[i % 3] ?? 0) + value;
  return sums.map((sum) => (3 * sum) / pixels.length);
}
