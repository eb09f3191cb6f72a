import fc from 'fast-check';

import { applyDamage, damage } from './mutate.js';
import type { SeedImage } from './seed-images.js';

export interface DamagedImage {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

export function damagedImage(seeds: readonly SeedImage[]): fc.Arbitrary<DamagedImage> {
  const files = seeds.map(({ bytes }) => bytes);
  return fc
    .tuple(fc.constantFrom(...seeds), damage)
    .map(([{ mediaType, bytes }, harm]) => ({ mediaType, bytes: applyDamage(bytes, harm, files) }));
}
