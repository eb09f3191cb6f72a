const seconds = { d: 86_400, h: 3600, m: 60, s: 1 } as const;

/** A duration such as `2h`, `90m`, `1h30m` or `45s` in seconds; undefined for anything else, and for nothing at all. */
export function parseDuration(text: string): number | undefined {
  const match = /^(?:([\d.]+)d)?(?:([\d.]+)h)?(?:([\d.]+)m)?(?:([\d.]+)s)?$/.exec(text.trim().toLowerCase());
  if (match === null) return undefined;
  const [, d = '0', h = '0', m = '0', s = '0'] = match;
  const total = Number(d) * seconds.d + Number(h) * seconds.h + Number(m) * seconds.m + Number(s) * seconds.s;
  return Number.isFinite(total) && total > 0 ? total : undefined;
}
