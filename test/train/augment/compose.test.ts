import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/domain/seeded-random.js';
import { composeOperations, type Operation } from '../../../src/train/augment/compose.js';
import { draws, greys, rowsOf } from './images.js';

const row = greys([[10, 20, 30, 40]]);

describe('operations composed', () => {
  it('follow one another in the order of the list', () => {
    const crop: Operation = { kind: 'paddingCrop', padding: 0, mode: 'zero' };
    const flip: Operation = { kind: 'horizontalFlip', probability: 1 };
    const image = greys([
      [10, 20, 30],
      [40, 50, 60],
    ]);
    // The top left 2 x 2, and its mirror image; or the top left of the mirror image.
    expect(rowsOf(composeOperations([crop, flip], 2)(image, draws(0, 0, 0)))).toEqual([
      [20, 10],
      [50, 40],
    ]);
    expect(rowsOf(composeOperations([flip, crop], 2)(image, draws(0, 0, 0)))).toEqual([
      [30, 20],
      [60, 50],
    ]);
  });

  it('resample the whole image first where none of them crops', () => {
    const { width, height } = composeOperations([{ kind: 'toGrey', probability: 1 }], 3)(row, draws(0));
    expect([width, height]).toEqual([3, 3]);
    expect(rowsOf(composeOperations([], 1)(greys([[10, 30]]), draws()))).toEqual([[20]]);
  });

  it('give the same view for the same seed and leave the image as it is', () => {
    const operations: Operation[] = [
      { kind: 'randomResizedCrop', scale: [0.2, 1], ratio: [0.75, 1.33] },
      { kind: 'horizontalFlip', probability: 0.5 },
      { kind: 'rotation', degrees: 20, mode: 'reflect' },
      { kind: 'colourJitter', probability: 0.8, brightness: 0.4, contrast: 0.4, saturation: 0.4, hue: 0.1 },
      { kind: 'toGrey', probability: 0.2 },
      { kind: 'cutout', probability: 0.5, side: 0.5, fill: 128 },
    ];
    const values = Uint8ClampedArray.from({ length: 12 * 12 * 3 }, (_, i) => (i * 37) % 251);
    const image = { values, width: 12, height: 12 };
    const before = [...values];
    const view = (seed: number) => [...composeOperations(operations, 8)(image, seededRandom(seed)).values];
    expect(view(4)).toEqual(view(4));
    expect(view(4)).not.toEqual(view(5));
    expect([...values]).toEqual(before);
  });
});
