/** What a seed is for, so that no two uses share their numbers. */
export const streams = { view: 0, order: 1, mix: 2 } as const;

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
