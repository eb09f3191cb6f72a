/** Which view of which image. */
export interface ViewPlace {
  readonly seed: number;
  readonly epoch: number;
  readonly image: number;
  readonly view: number;
}

/** A 32-bit seed for each place, so that a view is the same whoever makes it, in whatever order. */
export function viewSeed({ seed, epoch, image, view }: ViewPlace): number {
  let hash = 0;
  for (const part of [seed, epoch, image, view]) hash = finalise(Math.imul(hash, 31) + part + 0x9e3779b9);
  return hash >>> 0;
}

/** The finaliser of MurmurHash3 (Austin Appleby, public domain): every bit in changes half of the bits out. */
function finalise(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
