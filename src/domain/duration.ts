const milliseconds = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1000, ms: 1 } as const;

/** What a timer of Node can wait for at most, almost 25 days; of more it makes a millisecond. */
export const longestTimerMs = 2 ** 31 - 1;

const parts = /^(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?(?:([\d.]+)ms)?$/;

/**
 * A duration such as `500ms`, `10s`, `90m`, `1h30m` or `2d` in milliseconds; a number without a unit is of seconds.
 * Undefined for anything else, for nothing at all, and for more than a timer can wait for. 0 is a duration.
 */
export function parseDuration(text: string): number | undefined {
  const written = text.trim().toLowerCase();
  const match = parts.exec(/^[\d.]+$/.test(written) ? `${written}s` : written);
  if (match === null || written === '') return undefined;
  const [, d = '0', h = '0', m = '0', s = '0', ms = '0'] = match;
  const total = Math.round(
    Number(d) * milliseconds.d +
      Number(h) * milliseconds.h +
      Number(m) * milliseconds.m +
      Number(s) * milliseconds.s +
      Number(ms),
  );
  // NaN, of a number with two points, is not at most anything.
  return total <= longestTimerMs ? total : undefined;
}
