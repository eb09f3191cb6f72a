import type { UnknownRule, UnknownTest } from '../vote/unknown.js';

/** A subset drawn by chance keeps the guarantee; more would only make the file larger. */
const mostFamiliarities = 20_000;
const decimals = 1e6;

export interface FitUnknownOptions {
  readonly rule: UnknownRule;
  /** In (0, 1). */
  readonly epsilon: number;
  /** A permutation of the numbers of the familiarities, from which a subset is taken where there are too many. */
  readonly order: ArrayLike<number>;
}

/** The conformal test from the familiarities of known images that nothing else was fitted on. */
export function fitUnknown(familiarities: readonly number[], options: FitUnknownOptions): UnknownTest {
  const { rule, epsilon, order } = options;
  const chosen = Array.from(order)
    .slice(0, mostFamiliarities)
    .map((i) => roundDown(familiarities[i] ?? NaN));
  return { rule, epsilon, familiarities: chosen.sort((a, b) => a - b) };
}

/**
 * To six decimals, never up: a calibration image that counts as less familiar than it was makes p-values larger, so
 * the share of known images rejected stays at most epsilon.
 */
export function roundDown(value: number): number {
  const rounded = Math.floor(value * decimals) / decimals;
  return rounded > value ? (Math.floor(value * decimals) - 1) / decimals : rounded;
}
