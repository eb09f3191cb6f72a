import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../src/image/decode.js';
import { geometrySchema, hashGeometry, outputSize, type Geometry } from '../../src/image/geometry.js';
import { farthestFrom, pixelAt, quarters, scene, scenePixels, solid } from './drawing.js';

const red = [250, 0, 0] as const;
const green = [0, 250, 0] as const;
const blue = [0, 0, 250] as const;
const square = (side: number) => ({ width: side, height: side });
const decode = (geometry: Geometry, bytes: Uint8Array) => createDecoder({ geometry }).decode(bytes);

/** The middle `side` x `side` of `[height, width, 3]`, row by row. */
function middle(pixels: Uint8Array, { width, height }: { width: number; height: number }, side: number) {
  const out: number[] = [];
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      out.push(...pixelAt(pixels, width, [x + (width - side) / 2, y + (height - side) / 2]));
    }
  }
  return Uint8Array.from(out);
}

describe('the shortest edge, then the middle', () => {
  const size = { width: 48, height: 20 };
  const geometry = { resize: { shortestEdge: 20 }, crop: square(12), kernel: 'cubic' } as const;

  it('copies the middle where the edge has that length already, of a file and of raw pixels', async () => {
    const expected = middle(scenePixels(size), size, 12);
    expect(await decode(geometry, await scene(size).png().toBuffer())).toEqual(expected);
    const raw = { kind: 'pixels', pixels: scenePixels(size), ...size } as const;
    expect(await createDecoder({ geometry }).decode(raw)).toEqual(expected);
  });

  it.each([
    ['wide', { left: 40, right: 40, top: 0, bottom: 0 }],
    ['high', { left: 0, right: 0, top: 40, bottom: 40 }],
  ])('keeps the proportions of a %s picture, and only its middle', async (_name, sides) => {
    const bytes = await solid(green, square(40))
      .extend({ ...sides, background: { r: 250, g: 0, b: 0 } })
      .png()
      .toBuffer();
    const pixels = await decode({ ...geometry, kernel: 'nearest' }, bytes);
    expect(farthestFrom(pixels, green)).toBe(0);
  });

  it('keeps as much about the middle as the crop leaves', async () => {
    const bytes = await solid(blue, square(60))
      .extend({ left: 20, right: 20, top: 20, bottom: 20, background: { r: 250, g: 0, b: 0 } })
      .png()
      .toBuffer();
    const crop = { resize: { shortestEdge: 50 }, kernel: 'nearest' } as const;
    expect(farthestFrom(await decode({ ...crop, crop: square(30) }, bytes), blue)).toBe(0);
    const wider = await decode({ ...crop, crop: square(40) }, bytes);
    for (const at of [0, 4, 35, 39]) expect(pixelAt(wider, 40, [at, 20])).toEqual(red);
    for (const at of [5, 34]) expect(pixelAt(wider, 40, [at, 20])).toEqual(blue);
  });

  it('enlarges a picture that is smaller', async () => {
    const bytes = await quarters([red, green, blue, red], square(4)).png().toBuffer();
    const pixels = await decode({ ...geometry, kernel: 'nearest' }, bytes);
    expect([pixelAt(pixels, 12, [0, 0]), pixelAt(pixels, 12, [11, 0])]).toEqual([red, green]);
  });

  it('turns a picture upright first', async () => {
    // Orientation 6: to be turned by 90 degrees clockwise, so the bottom left quarter comes to the top left.
    const bytes = await quarters([red, green, blue, red], { width: 80, height: 40 })
      .withMetadata({ orientation: 6 })
      .png()
      .toBuffer();
    const pixels = await decode(geometry, bytes);
    expect(pixelAt(pixels, 12, [2, 2])).toEqual(blue);
    expect(pixelAt(pixels, 12, [9, 9])).toEqual(green);
  });

  it.each([
    [1, 20_000],
    [20_000, 1],
  ])('takes a picture of %i x %i without ever holding it enlarged', async (width, height) => {
    const bytes = await solid(green, { width, height }).png().toBuffer();
    const large = { resize: { shortestEdge: 256 }, crop: square(224), kernel: 'cubic' } as const;
    await decode(large, bytes);
    const before = process.memoryUsage.rss();
    expect(farthestFrom(await decode(large, bytes), green)).toBe(0);
    expect(process.memoryUsage.rss() - before).toBeLessThan(100e6);
  });
});

describe('no resize', () => {
  const geometry = { resize: 'none', crop: square(8), kernel: 'nearest' } as const;

  it('keeps the middle as it is', async () => {
    const size = { width: 20, height: 14 };
    const pixels = await decode(geometry, await scene(size).png().toBuffer());
    expect(pixels).toEqual(middle(scenePixels(size), size, 8));
  });

  it('puts black about a smaller picture, and about one that is smaller one way', async () => {
    for (const size of [square(4), { width: 4, height: 40 }]) {
      const pixels = await decode(geometry, await solid(red, size).png().toBuffer());
      expect([1, 2, 5, 6].map((x) => pixelAt(pixels, 8, [x, 4]))).toEqual([[0, 0, 0], red, red, [0, 0, 0]]);
      expect(pixelAt(pixels, 8, [4, 0])).toEqual(size.height > 8 ? red : [0, 0, 0]);
    }
  });
});

describe('a geometry', () => {
  const exact = { resize: square(8), fit: 'fill', kernel: 'cubic' } as const;

  it.each([
    [
      'a fit beside the shortest edge',
      { resize: { shortestEdge: 9 }, crop: square(8), fit: 'cover', kernel: 'cubic' },
    ],
    ['no fit', { resize: square(8), kernel: 'cubic' }],
    ['no crop where it gives no size', { resize: { shortestEdge: 8 }, kernel: 'cubic' }],
    ['a crop that is larger than what is left', { ...exact, crop: { width: 8, height: 9 } }],
    ['no kernel', { resize: square(8), fit: 'fill' }],
    ['a word of another kind', { ...exact, rotate: 90 }],
  ])('is refused with %s', (_name, value) => {
    expect(geometrySchema.safeParse(value).success).toBe(false);
  });

  it('says the size of every image', () => {
    expect(outputSize(exact)).toEqual(square(8));
    expect(outputSize({ ...exact, crop: { width: 3, height: 2 } })).toEqual({ width: 3, height: 2 });
  });

  it('has a hash that tells every part of it', () => {
    const hashes = [
      exact,
      { ...exact, fit: 'cover' },
      { ...exact, kernel: 'linear' },
      { ...exact, resize: { width: 8, height: 9 } },
      { ...exact, crop: square(8) },
      { ...exact, crop: square(7) },
      { resize: { shortestEdge: 8 }, crop: square(8), kernel: 'cubic' },
      { resize: { shortestEdge: 9 }, crop: square(8), kernel: 'cubic' },
      { resize: 'none', crop: square(8), kernel: 'cubic' },
    ].map((geometry) => hashGeometry(geometrySchema.parse(geometry)));
    expect(new Set(hashes).size).toBe(hashes.length);
    expect(hashGeometry({ kernel: 'cubic', fit: 'fill', resize: { height: 8, width: 8 } })).toBe(hashes[0]);
  });
});
