import type { Random } from '../../domain/seeded-random.js';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface BootstrapOptions {
  /** In [0, 1); seed it. */
  readonly random: Random;
  /** 1,000 unless told. */
  readonly resamples?: number | undefined;
  /** 0.95 unless told. */
  readonly level?: number | undefined;
}

/** Of the normal distribution, so that 95 % lie within. */
const z95 = 1.959963984540054;

/**
 * Wilson's 95 % interval of a share (1927): of all true shares those that would not be rejected by what was seen. Unlike
 * the bootstrap's it is right for shares near 0 and 1, where drawing anew from images that all agree knows no doubt. NaN for none.
 */
export function wilsonInterval(found: number, of: number): Interval {
  if (of === 0) return { low: NaN, high: NaN };
  const square = z95 ** 2;
  const centre = found + square / 2;
  const reach = z95 * Math.sqrt((found * (of - found)) / of + square / 4);
  return {
    low: found === 0 ? 0 : (centre - reach) / (of + square),
    high: found === of ? 1 : (centre + reach) / (of + square),
  };
}

/** Wilson's interval of the share of these that are true. */
export function shareInterval(values: readonly boolean[]): Interval {
  return wilsonInterval(values.filter(Boolean).length, values.length);
}

/**
 * The percentile interval of a mean (Efron & Tibshirani 1993, chapter 13): means of as many values drawn with
 * replacement, again and again, and the middle `level` of them. NaN for no values.
 */
export function bootstrapMean(values: ArrayLike<number>, options: BootstrapOptions): Interval {
  const drawn = Float64Array.from(values);
  const { random } = options;
  return bootstrap(() => {
    let sum = 0;
    for (let i = 0; i < drawn.length; i++) sum += drawn[Math.floor(random() * drawn.length)] ?? NaN;
    return sum / drawn.length;
  }, options);
}

/**
 * The interval of the mean of `a - b`, where both measured the same images in the same order: what they have in common
 * cancels out, so it tells smaller differences than two intervals beside one another.
 */
export function bootstrapDifference(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  options: BootstrapOptions,
): Interval {
  const differences = Float64Array.from(a, (value, i) => value - (b[i] ?? NaN));
  return bootstrapMean(differences, options);
}

/** The interval of any figure that `resampled` works out anew from a draw of its own at each call. */
export function bootstrap(
  resampled: () => number,
  { resamples = 1_000, level = 0.95 }: Omit<BootstrapOptions, 'random'>,
): Interval {
  const figures = Float64Array.from({ length: resamples }, resampled).sort();
  return { low: quantile(figures, (1 - level) / 2), high: quantile(figures, (1 + level) / 2) };
}

/** The intervals of several figures, all of which `resampled` works out from one draw. */
export function bootstrapEach<Name extends string>(
  names: readonly Name[],
  resampled: () => Readonly<Record<Name, number>>,
  options: Omit<BootstrapOptions, 'random'>,
): Record<Name, Interval> {
  const draws = Array.from({ length: options.resamples ?? 1_000 }, resampled);
  const of = (name: Name): Interval => {
    let next = 0;
    return bootstrap(() => draws[next++]?.[name] ?? NaN, options);
  };
  return Object.fromEntries(names.map((name) => [name, of(name)])) as Record<Name, Interval>;
}

/**
 * The basic interval (Davison & Hinkley 1997, 5.2.1) of a figure that drawing anew lifts, as it does a calibration
 * error, whose bins take on noise, and mutual information, for an image that is drawn twice agrees with itself: what the
 * draws lie above the figure, the figure is taken to lie above the truth. It always holds the figure itself.
 */
export function basicInterval(figure: number, drawn: Interval): Interval {
  return {
    low: Math.min(figure, 2 * figure - drawn.high),
    high: Math.max(figure, 2 * figure - drawn.low),
  };
}

/** As many items as there are, drawn with replacement. */
export function drawAgain<T>(items: readonly T[], random: Random): T[] {
  return items.map((item) => items[Math.floor(random() * items.length)] ?? item);
}

/** Between the two values nearest to it by rank, linearly: numpy's default. */
function quantile(sorted: Float64Array, share: number): number {
  const rank = share * (sorted.length - 1);
  const low = sorted[Math.floor(rank)] ?? NaN;
  const high = sorted[Math.ceil(rank)] ?? NaN;
  return low + (rank - Math.floor(rank)) * (high - low);
}
