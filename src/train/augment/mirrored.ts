/** The place in `[0, size)` that `at` falls on when the image is mirrored at its outermost pixels, without repeating them. */
export function mirrored(at: number, size: number): number {
  if (at >= 0 && at < size) return at;
  const period = 2 * (size - 1);
  if (period === 0) return 0;
  const within = ((at % period) + period) % period;
  return within < size ? within : period - within;
}
