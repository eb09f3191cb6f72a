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

/** Every number below `count` once, evenly shuffled (Fisher and Yates). */
export function permutation(count: number, random: Random): Int32Array {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  for (let last = count - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other] ?? 0, order[last] ?? 0];
  }
  return order;
}

/** A 32-bit seed for each list of whole numbers, so that what is drawn is the same whoever draws it, in whatever order. */
export function seedOf(...parts: readonly number[]): number {
  let hash = 0;
  for (const part of parts) hash = finalise(Math.imul(hash, 31) + part + 0x9e3779b9);
  return hash >>> 0;
}

/** The finaliser of MurmurHash3 (Austin Appleby, public domain): every bit in changes half of the bits out. */
function finalise(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
