import type { Interval } from '../metrics/bootstrap.js';

/** `92.24 %`; a dash where there is no figure. */
export function percent(share: number | undefined): string {
  return share === undefined || Number.isNaN(share) ? '–' : `${(100 * share).toFixed(2)} %`;
}

/** `0.7051`; a dash where there is no figure. */
export function decimal(value: number): string {
  return Number.isNaN(value) ? '–' : value.toFixed(4);
}

/** A figure with its 95 % interval, the unit said once: `92.24 % (91.73 to 92.74)`. */
export function withInterval(
  value: number,
  { low, high }: Interval,
  form: (value: number) => string = percent,
): string {
  const bare = (end: number): string => form(end).replace(' %', '');
  return Number.isNaN(value) ? form(value) : `${form(value)} (${bare(low)} to ${bare(high)})`;
}
