/** A source of numbers in [0, 1). */
export type Random = () => number;

/** Tommy Ettinger's mulberry32: the same seed gives the same numbers; good enough to sample with. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * Chooses `count` of `size` rows, each as likely as any other, in an order that is random too; the same seed gives the
 * same rows. A partial Fisher-Yates shuffle.
 */
export function sampleRows({ size, count, seed }: { size: number; count: number; seed: number }): Int32Array {
  const rows = Int32Array.from({ length: size }, (_, row) => row);
  const random = seededRandom(seed);
  const chosen = Math.min(count, size);
  for (let i = 0; i < chosen; i++) {
    const j = i + Math.floor(random() * (size - i));
    const row = rows[j] ?? 0;
    rows[j] = rows[i] ?? 0;
    rows[i] = row;
  }
  return rows.slice(0, chosen);
}
