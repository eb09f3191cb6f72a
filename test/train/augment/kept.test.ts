import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/domain/seeded-random.js';
import { composeOperations, type Operation } from '../../../src/train/augment/compose.js';

/** Arrays are kept between calls: nothing of the image before may show. */
describe.each<Operation>([
  { kind: 'randomResizedCrop', scale: [0.3, 1], ratio: [0.75, 1.33] },
  { kind: 'paddingCrop', padding: 3, mode: 'zero' },
  { kind: 'horizontalFlip', probability: 0.5 },
  { kind: 'rotation', degrees: 40, mode: 'zero' },
  { kind: 'colourJitter', probability: 0.7, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
  { kind: 'toGrey', probability: 0.5 },
  { kind: 'cutout', probability: 0.7, side: 0.5, fill: 128 },
])('$kind', (operation) => {
  it('gives after many other images what it gives first', () => {
    const image = (seed: number) => {
      const random = seededRandom(seed);
      return { values: Uint8ClampedArray.from({ length: 300 }, () => 256 * random()), width: 10, height: 10 };
    };
    const used = composeOperations([operation], 8);
    for (let seed = 0; seed < 20; seed++) {
      const fresh = composeOperations([operation], 8)(image(seed), seededRandom(seed)).values;
      expect([...used(image(seed), seededRandom(seed)).values]).toEqual([...fresh]);
    }
  });
});
