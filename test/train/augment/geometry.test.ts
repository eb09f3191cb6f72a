import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/domain/seeded-random.js';
import {
  cutout,
  horizontalFlip,
  mirrored,
  paddingCrop,
  randomResizedCrop,
  resized,
  rotation,
} from '../../../src/train/augment/geometry.js';
import { createResampler, type Box } from '../../../src/train/augment/resample.js';
import { draws, greys, rowsOf } from './images.js';

const numbered = greys([
  [10, 20, 30],
  [40, 50, 60],
  [70, 80, 90],
]);

describe('resampling', () => {
  it('leaves a box of the same size as it is', () => {
    const same = createResampler({ width: 2, height: 2 })(numbered, { left: 1, top: 1, width: 2, height: 2 });
    expect(rowsOf(same)).toEqual([
      [50, 60],
      [80, 90],
    ]);
  });

  it('doubles two pixels into quarters of the way between them', () => {
    // Centres of the outputs: -0.25, 0.25, 0.75, 1.25 in pixels of the input; beyond the first and last nothing counts.
    const out = createResampler({ width: 4, height: 1 })(greys([[0, 100]]), {
      left: 0,
      top: 0,
      width: 2,
      height: 1,
    });
    expect(rowsOf(out)).toEqual([[0, 25, 75, 100]]);
  });

  it('halves with a triangle over two outputs, weights 1 3 3 1 inside and 3 3 1 at the border', () => {
    const row = greys([[70, 0, 140, 0]]);
    const out = createResampler({ width: 2, height: 1 })(row, { left: 0, top: 0, width: 4, height: 1 });
    // (3 * 70 + 3 * 0 + 1 * 140) / 7 and (1 * 0 + 3 * 140 + 3 * 0) / 7
    expect(rowsOf(out)).toEqual([[50, 60]]);
  });

  it('treats columns as it treats rows', () => {
    const across = createResampler({ width: 5, height: 3 })(numbered, {
      left: 0,
      top: 0,
      width: 3,
      height: 3,
    });
    const turned = greys([
      [10, 40, 70],
      [20, 50, 80],
      [30, 60, 90],
    ]);
    const down = createResampler({ width: 3, height: 5 })(turned, { left: 0, top: 0, width: 3, height: 3 });
    const rows = rowsOf(across);
    expect(rowsOf(down)).toEqual([0, 1, 2, 3, 4].map((x) => rows.map((row) => row[x])));
  });

  it('makes one colour of one pixel', () => {
    const out = resized(3)(greys([[7]]), draws());
    expect(rowsOf(out).flat()).toEqual(Array<number>(9).fill(7));
  });
});

describe('random resized crop', () => {
  it('cuts out the part that was drawn', () => {
    const crop = randomResizedCrop({ scale: [0, 1], ratio: [0.5, 2] }, 2);
    // Area 4/9 of 9 pixels, ratio 1 (half of the way in its logarithm): 2 x 2; row 1 of 0..1, column 0 of 0..1.
    expect(rowsOf(crop(numbered, draws(4 / 9, 0.5, 0.9, 0.1)))).toEqual([
      [40, 50],
      [70, 80],
    ]);
  });

  it('takes the middle of the allowed shape where ten draws did not fit', () => {
    const wide = greys([[10, 20, 30, 40, 50, 60]]);
    const crop = randomResizedCrop({ scale: [1, 1], ratio: [1, 1] }, 1);
    // All of the area as a square is 2 x 2, and the image is 1 high; 1 x 1 in the middle begins at floor(5 / 2).
    expect(rowsOf(crop(wide, draws(...Array<number>(20).fill(0.5))))).toEqual([[30]]);
  });

  it('keeps between the least and the most of the area, in all allowed shapes', () => {
    const side = 100;
    // Each pixel says where it is, so the corners of a crop tell its box.
    const place = { values: new Uint8ClampedArray(side * side * 3), width: side, height: side };
    for (let i = 0; i < side * side; i++) place.values.set([i % side, Math.floor(i / side), 0], i * 3);
    const crop = randomResizedCrop({ scale: [0.2, 0.6], ratio: [0.75, 4 / 3] }, side);
    const random = seededRandom(5);
    const areas = Array.from({ length: 200 }, () => {
      const { values } = crop(place, random);
      const last = values.length - 3;
      const width = (values[last] ?? 0) - (values[0] ?? 0) + 1;
      const height = (values[last + 1] ?? 0) - (values[1] ?? 0) + 1;
      expect(width / height).toBeGreaterThan(0.73);
      expect(width / height).toBeLessThan(1.37);
      return (width * height) / (side * side);
    });
    expect(Math.min(...areas)).toBeGreaterThan(0.19);
    expect(Math.min(...areas)).toBeLessThan(0.23);
    expect(Math.max(...areas)).toBeLessThan(0.61);
    expect(Math.max(...areas)).toBeGreaterThan(0.57);
  });
});

describe('padding crop', () => {
  // Padded by one: 5 x 5, of which 3 x 3 begins at row and column 0, 1 or 2.
  const drawn = (mode: 'reflect' | 'zero') =>
    rowsOf(paddingCrop({ padding: 1, mode }, 3)(numbered, draws(0, 0)));

  it('mirrors at the border without repeating it', () => {
    expect(drawn('reflect')).toEqual([
      [50, 40, 50],
      [20, 10, 20],
      [50, 40, 50],
    ]);
  });

  it('pads with black', () => {
    expect(drawn('zero')).toEqual([
      [0, 0, 0],
      [0, 10, 20],
      [0, 40, 50],
    ]);
  });

  it('reaches the other border', () => {
    expect(rowsOf(paddingCrop({ padding: 1, mode: 'zero' }, 3)(numbered, draws(0.99, 0.99)))).toEqual([
      [50, 60, 0],
      [80, 90, 0],
      [0, 0, 0],
    ]);
  });

  it('pads an image that is too small as far as needed', () => {
    expect(rowsOf(paddingCrop({ padding: 0, mode: 'reflect' }, 3)(greys([[5, 6, 7]]), draws(0)))).toEqual([
      [5, 6, 7],
      [5, 6, 7],
      [5, 6, 7],
    ]);
  });
});

describe('mirroring', () => {
  it('goes back and forth between the outermost pixels', () => {
    expect([-4, -3, -2, -1, 0, 1, 2, 3, 4, 5].map((at) => mirrored(at, 3))).toEqual([
      0, 1, 2, 1, 0, 1, 2, 1, 0, 1,
    ]);
    expect(mirrored(-3, 1)).toBe(0);
  });
});

describe('horizontal flip', () => {
  it('swaps left and right when the draw is below its probability', () => {
    const flip = horizontalFlip({ probability: 0.5 });
    expect(rowsOf(flip(numbered, draws(0.49)))).toEqual([
      [30, 20, 10],
      [60, 50, 40],
      [90, 80, 70],
    ]);
    expect(flip(numbered, draws(0.5))).toBe(numbered);
  });

  it('keeps the channels of a pixel in their order', () => {
    const two = { values: Uint8ClampedArray.of(1, 2, 3, 4, 5, 6), width: 2, height: 1 };
    expect([...horizontalFlip({ probability: 1 })(two, draws(0)).values]).toEqual([4, 5, 6, 1, 2, 3]);
  });
});

describe('rotation', () => {
  it('turns by a right angle counter-clockwise', () => {
    // The greatest draw is the greatest angle.
    const turned = rotation({ degrees: 90, mode: 'zero' })(numbered, draws(1));
    expect(rowsOf(turned)).toEqual([
      [30, 60, 90],
      [20, 50, 80],
      [10, 40, 70],
    ]);
  });

  it('leaves the image as it is at the angle in the middle', () => {
    expect(rowsOf(rotation({ degrees: 30, mode: 'reflect' })(numbered, draws(0.5)))).toEqual(
      rowsOf(numbered),
    );
  });

  it('blends four neighbours, and black with what lies outside', () => {
    const bright = greys([
      [100, 100, 100],
      [100, 100, 100],
      [100, 100, 100],
    ]);
    const turned = rowsOf(rotation({ degrees: 45, mode: 'zero' })(bright, draws(1)));
    // A corner comes from sqrt(2) off the middle along an axis: sqrt(2) - 1 of the way from the last pixel to black.
    const corner = Math.round(100 * (1 - (Math.SQRT2 - 1)));
    expect([turned[0]?.[0], turned[0]?.[2], turned[2]?.[0], turned[2]?.[2]]).toEqual(Array(4).fill(corner));
    expect(turned[1]?.[1]).toBe(100);
    expect(rowsOf(rotation({ degrees: 45, mode: 'reflect' })(bright, draws(1)))).toEqual(rowsOf(bright));
  });
});

describe('cutout', () => {
  const cut = cutout({ probability: 1, side: 0.7, fill: 128 }); // 2 of 3 pixels

  it('blanks a square around the pixel that was drawn', () => {
    // Column 1 and row 2 of three; the square begins one before them.
    expect(rowsOf(cut(numbered, draws(0, 0.4, 0.9)))).toEqual([
      [10, 20, 30],
      [128, 128, 60],
      [128, 128, 90],
    ]);
  });

  it('clips the square at the border', () => {
    expect(rowsOf(cut(numbered, draws(0, 0, 0)))).toEqual([
      [128, 20, 30],
      [40, 50, 60],
      [70, 80, 90],
    ]);
  });

  it('changes nothing when the draw is not below its probability', () => {
    expect(cutout({ probability: 0.3, side: 0.5, fill: 0 })(numbered, draws(0.3))).toBe(numbered);
  });
});

interface RecordedCrops {
  readonly pixels: number[];
  readonly width: number;
  readonly height: number;
  readonly cases: readonly (Box & { readonly size: number; readonly expected: number[] })[];
}

describe('a resized crop against torchvision', () => {
  const file = new URL('../../fixtures/torchvision/crop.json', import.meta.url);
  const { pixels, width, height, cases } = JSON.parse(readFileSync(file, 'utf8')) as RecordedCrops;

  it.each(cases)(
    '$width x $height to $size x $size is what it records, to the rounding',
    ({ size, expected, ...box }) => {
      const image = { values: Uint8ClampedArray.from(pixels), width, height };
      const { values } = createResampler({ width: size, height: size })(image, box);
      const apart = expected.map((value, i) => Math.abs(value - (values[i] ?? NaN)));
      expect(Math.max(...apart)).toBeLessThanOrEqual(0.51);
    },
  );
});
