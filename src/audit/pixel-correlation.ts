/** Side of the thumbnails that are compared. */
export const comparedSide = 16;

/**
 * Pearson's correlation of two pictures of one size, channels taken together: 1 for the same picture, whatever its
 * brightness and contrast. Two even pictures correlate fully where they are alike to a grey level, else not at all.
 */
export function pixelCorrelation(a: Uint8Array, b: Uint8Array): number {
  const meanA = mean(a);
  const meanB = mean(b);
  let covariance = 0;
  let varianceA = 0;
  let varianceB = 0;
  for (let i = 0; i < a.length; i++) {
    const da = (a[i] ?? NaN) - meanA;
    const db = (b[i] ?? NaN) - meanB;
    covariance += da * db;
    varianceA += da * da;
    varianceB += db * db;
  }
  if (varianceA === 0 || varianceB === 0)
    return a.every((value, i) => Math.abs(value - (b[i] ?? NaN)) <= 1) ? 1 : 0;
  return covariance / Math.sqrt(varianceA * varianceB);
}

function mean(values: Uint8Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
