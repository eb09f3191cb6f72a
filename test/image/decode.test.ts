import { availableParallelism } from 'node:os';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { createCancellation } from '../../src/domain/cancellation.js';
import { NearvoteError } from '../../src/domain/errors.js';
import { decoderTo } from './decoder-to.js';
import { farthestFrom, pixelAt, quarters, scene, scenePixels, solid } from './drawing.js';
import type { Colour, Quarters } from './drawing.js';
import { pngChunk, pngFile, pngHeader } from './png-by-hand.js';

type DecoderOptions = Parameters<typeof decoderTo>[0];
const decoder = (options: Partial<DecoderOptions> = {}) =>
  decoderTo({ width: 8, height: 8, fit: 'fill', kernel: 'lanczos3', ...options });
const decode = (content: Uint8Array, options?: Partial<DecoderOptions>) => decoder(options).decode(content);

const colour: Colour = [230, 20, 30];
const drawn = () => solid(colour);
const half = (value: number) => (value + 255) / 2;
const overWhite: Colour = [half(230), half(20), half(30)];

describe('a decoded image has the colours that were drawn', () => {
  it.each([
    ['PNG', () => drawn().png(), colour, 0],
    ['palette PNG', () => drawn().png({ palette: true }), colour, 0],
    ['interlaced PNG', () => drawn().png({ progressive: true }), colour, 0],
    ['16-bit PNG', () => drawn().toColourspace('rgb16').png(), colour, 1],
    [
      '16-bit PNG with an sRGB profile',
      () => drawn().toColourspace('rgb16').withIccProfile('srgb').png(),
      colour,
      2,
    ],
    [
      '16-bit PNG with a P3 profile',
      () => drawn().toColourspace('rgb16').withIccProfile('p3').png(),
      colour,
      2,
    ],
    [
      '16-bit TIFF with a profile',
      () => drawn().toColourspace('rgb16').withIccProfile('srgb').tiff(),
      colour,
      3,
    ],
    ['PNG with a P3 profile', () => drawn().withIccProfile('p3').png(), colour, 2],
    ['JPEG', () => drawn().jpeg({ quality: 100, chromaSubsampling: '4:4:4' }), colour, 2],
    ['progressive JPEG', () => drawn().jpeg({ quality: 100, progressive: true }), colour, 3],
    ['JPEG with a P3 profile', () => drawn().withIccProfile('p3').jpeg({ quality: 100 }), colour, 4],
    ['lossless WebP', () => drawn().webp({ lossless: true }), colour, 0],
    ['WebP', () => drawn().webp({ quality: 100 }), colour, 5],
    ['GIF', () => drawn().gif(), colour, 0],
    ['AVIF', () => drawn().avif({ lossless: true }), colour, 1],
    ['TIFF', () => drawn().tiff({ compression: 'lzw' }), colour, 0],
    ['LAB TIFF', () => drawn().toColourspace('lab').tiff({ compression: 'lzw' }), colour, 1],
    ['PNG with alpha', () => drawn().ensureAlpha(0.5).png(), overWhite, 1],
    ['16-bit PNG with alpha', () => drawn().ensureAlpha(0.5).toColourspace('rgb16').png(), overWhite, 1],
    ['transparent WebP', () => drawn().ensureAlpha(0).webp({ lossless: true }), [255, 255, 255] as const, 0],
    ['transparent GIF', () => drawn().ensureAlpha(0).gif(), [255, 255, 255] as const, 0],
    ['grey PNG', () => solid([77, 77, 77]).greyscale().png(), [77, 77, 77] as const, 0],
    ['16-bit grey PNG', () => solid([77, 77, 77]).toColourspace('grey16').png(), [77, 77, 77] as const, 1],
    ['grey JPEG', () => solid([77, 77, 77]).greyscale().jpeg(), [77, 77, 77] as const, 1],
    [
      'grey PNG with alpha',
      () => solid([77, 77, 77]).greyscale().ensureAlpha(0.5).png(),
      [166, 166, 166] as const,
      1,
    ],
  ] as const)('%s', async (_name, draw, expected, within) => {
    const pixels = await decode(await draw().toBuffer());
    expect(pixels).toHaveLength(8 * 8 * 3);
    expect(farthestFrom(pixels, expected)).toBeLessThanOrEqual(within);
  });

  // A press profile cannot hold every screen colour exactly; ink read as light, or unconverted, would be 100 off.
  it.each([
    ['JPEG', (colour: Colour) => solid(colour).toColourspace('cmyk').jpeg({ quality: 100 })],
    ['TIFF', (colour: Colour) => solid(colour).toColourspace('cmyk').tiff({ compression: 'lzw' })],
  ])('CMYK %s', async (_name, draw) => {
    const bytes = await draw([180, 60, 60]).toBuffer();
    expect((await sharp(bytes).metadata()).space).toBe('cmyk');
    expect(farthestFrom(await decode(bytes), [180, 60, 60])).toBeLessThanOrEqual(25);
  });

  it.each(['gif', 'webp'] as const)('animated %s: the first frame', async (format) => {
    const frames = [solid(colour), solid([0, 0, 255])].map((frame) => frame.png().toBuffer());
    const animation = sharp(await Promise.all(frames), { join: { animated: true } });
    const bytes = await (format === 'gif' ? animation.gif() : animation.webp({ lossless: true })).toBuffer();
    expect((await sharp(bytes, { animated: true }).metadata()).pages).toBe(2);
    expect(farthestFrom(await decode(bytes), colour)).toBe(0);
  });

  it('APNG: the still image', async () => {
    const still = await drawn().png().toBuffer();
    const actl = pngChunk('acTL', Buffer.from([0, 0, 0, 1, 0, 0, 0, 0]));
    const apng = Buffer.concat([still.subarray(0, 33), actl, still.subarray(33)]);
    expect(farthestFrom(await decode(apng), colour)).toBe(0);
  });
});

describe('geometry', () => {
  const [red, green, blue, yellow]: Quarters = [
    [250, 0, 0],
    [0, 250, 0],
    [0, 0, 250],
    [250, 250, 0],
  ];
  const upright: Quarters = [red, green, blue, yellow];

  // What was stored, for each orientation, so that the picture shown is `upright` (EXIF 2.32, tag 0x0112).
  const stored: readonly (readonly [number, Quarters])[] = [
    [1, [red, green, blue, yellow]],
    [2, [green, red, yellow, blue]],
    [3, [yellow, blue, green, red]],
    [4, [blue, yellow, red, green]],
    [5, [red, blue, green, yellow]],
    [6, [green, yellow, red, blue]],
    [7, [yellow, green, blue, red]],
    [8, [blue, red, yellow, green]],
  ];

  it.each(stored)('turns EXIF orientation %i upright', async (orientation, drawing) => {
    const turned = orientation >= 5;
    const size = turned ? { width: 64, height: 96 } : { width: 96, height: 64 };
    const bytes = await quarters(drawing, size)
      .withMetadata({ orientation })
      .jpeg({ quality: 100, chromaSubsampling: '4:4:4' })
      .toBuffer();
    for (const [width, height] of [
      [96, 64],
      [24, 16],
    ] as const) {
      const pixels = await decode(bytes, { width, height });
      const middles = [
        [width / 4, height / 4],
        [(width * 3) / 4, height / 4],
        [width / 4, (height * 3) / 4],
        [(width * 3) / 4, (height * 3) / 4],
      ] as const;
      for (const [quarter, expected] of upright.entries()) {
        const found = pixelAt(pixels, width, middles[quarter] ?? [0, 0]);
        expect(
          Math.max(...found.map((value, i) => Math.abs(value - (expected[i] ?? NaN)))),
        ).toBeLessThanOrEqual(8);
      }
    }
  });

  const striped = () => quarters([red, green, red, green], { width: 80, height: 20 });

  it('stretches with fill', async () => {
    const pixels = await decode(await striped().png().toBuffer(), { fit: 'fill', kernel: 'nearest' });
    expect(pixelAt(pixels, 8, [0, 0])).toEqual(red);
    expect(pixelAt(pixels, 8, [7, 7])).toEqual(green);
  });

  it('keeps the middle with cover', async () => {
    const sides: Quarters = [red, red, red, red];
    const bytes = await quarters(sides, { width: 20, height: 20 })
      .extend({ left: 30, right: 30, background: { r: 0, g: 0, b: 255 } })
      .png()
      .toBuffer();
    expect(farthestFrom(await decode(bytes, { fit: 'cover', width: 20, height: 20 }), red)).toBe(0);
  });

  it('pads with black with contain', async () => {
    const pixels = await decode(await striped().png().toBuffer(), { fit: 'contain', kernel: 'nearest' });
    expect(pixelAt(pixels, 8, [0, 0])).toEqual([0, 0, 0]);
    expect(pixelAt(pixels, 8, [0, 4])).toEqual(red);
    expect(pixelAt(pixels, 8, [7, 7])).toEqual([0, 0, 0]);
  });

  it.each([
    [1, 1],
    [1, 5000],
    [5000, 1],
    [3, 7],
  ])('takes a picture of %i x %i', async (width, height) => {
    for (const fit of ['fill', 'cover'] as const) {
      for (const bytes of [
        await solid(colour, { width, height }).png().toBuffer(),
        await solid(colour, { width, height }).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(),
      ]) {
        expect(farthestFrom(await decode(bytes, { fit }), colour)).toBeLessThanOrEqual(2);
      }
    }
  });

  it('shrinks a large JPEG to what its quarters were', async () => {
    const bytes = await quarters(upright, { width: 1600, height: 1200 }).jpeg().toBuffer();
    const pixels = await decode(bytes, { width: 32, height: 32 });
    expect(pixelAt(pixels, 32, [8, 8]).map((value) => Math.round(value / 25))).toEqual([10, 0, 0]);
    expect(pixelAt(pixels, 32, [24, 24]).map((value) => Math.round(value / 25))).toEqual([10, 10, 0]);
  });
});

describe('one decoder for all', () => {
  it('gives the same pixels for bytes, for a file and from a decoder made elsewhere', async () => {
    const bytes = await scene({ width: 300, height: 200 }).jpeg().toBuffer();
    const first = await decode(bytes);
    expect(await decoder().decode({ kind: 'file', bytes })).toEqual(first);
    expect(await decode(new Uint8Array(bytes))).toEqual(first);
  });

  it('gives the same pixels whether a plain PNG took the short way or sharp', async () => {
    const size = { width: 8, height: 8 };
    const plain = await scene(size).png().toBuffer();
    const withText = Buffer.concat([
      plain.subarray(0, 33),
      pngChunk('tEXt', Buffer.from('a\0b')),
      plain.subarray(33),
    ]);
    expect(await decode(plain)).toEqual(scenePixels(size));
    expect(await decode(withText)).toEqual(scenePixels(size));
  });

  it('copies raw pixels of the right size and resizes others', async () => {
    const size = { width: 8, height: 8 };
    const pixels = scenePixels(size);
    const decoded = await decoder().decode({ kind: 'pixels', pixels, ...size });
    expect(decoded).toEqual(pixels);
    pixels.fill(0);
    expect(decoded).toEqual(scenePixels(size));

    const large = { width: 33, height: 17 };
    const raw = await decoder().decode({ kind: 'pixels', pixels: scenePixels(large), ...large });
    expect(raw).toEqual(await decode(await scene(large).tiff({ compression: 'none' }).toBuffer()));
  });

  it('refuses raw pixels that are not width x height', async () => {
    const content = { kind: 'pixels', pixels: new Uint8Array(11), width: 2, height: 2 } as const;
    await expect(decoder().decode(content)).rejects.toMatchObject({
      code: 'image_damaged',
      message: 'Expected 2 x 2 RGB pixels but received 11 bytes',
    });
  });

  it('keeps sharp from opening what it never should, whoever asks in this process', async () => {
    decoder();
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
    await expect(sharp(svg).raw().toBuffer()).rejects.toThrow(/unsupported/);
    await expect(
      sharp(import.meta.filename)
        .raw()
        .toBuffer(),
    ).rejects.toThrow(/unsupported/);
  });
});

describe('many images at once', () => {
  it('mixes good and bad ones without mixing them up', async () => {
    const good = await solid(colour, { width: 40, height: 40 }).jpeg({ quality: 100 }).toBuffer();
    const bad = good.subarray(0, good.length / 2);
    const shared = decoder();
    const results = await Promise.allSettled(
      Array.from({ length: 64 }, (_, i) => shared.decode(i % 2 ? bad : good)),
    );
    for (const [i, result] of results.entries()) expect(result.status).toBe(i % 2 ? 'rejected' : 'fulfilled');
  });

  it('are not all begun: those still waiting when nobody wants them any more never are', async () => {
    const photo = await scene({ width: 1200, height: 900 }).jpeg().toBuffer();
    const { signal, cancel } = createCancellation();
    const shared = decoder();
    const some = 2 * availableParallelism();
    const all = Array.from({ length: some + 40 }, () => shared.decode(photo, signal));
    const settled = Promise.allSettled(all);
    await Promise.race(all);
    cancel(new NearvoteError('client_gone', 'nobody waits'));
    const rejected = (await settled).filter(({ status }) => status === 'rejected');
    // Each that ends lets one more begin.
    expect(rejected.length).toBeGreaterThanOrEqual(40 - some);
    expect(rejected[0]).toMatchObject({ reason: { code: 'client_gone' } });
  });
});

describe('size', () => {
  const header = (width: number, height: number) =>
    pngFile(pngHeader({ width, height }), pngChunk('IDAT', Buffer.from([0x78, 0x9c])), pngChunk('IEND'));

  it('refuses a bomb by its header, with no memory', async () => {
    await decode(await drawn().png().toBuffer());
    const before = process.memoryUsage.rss();
    const shared = decoder();
    for (let i = 0; i < 20; i++) {
      await expect(shared.decode(header(30_000, 30_000))).rejects.toMatchObject({
        code: 'image_too_many_pixels',
      });
    }
    expect(process.memoryUsage.rss() - before).toBeLessThan(60e6);
  });

  it('says how many pixels it takes', async () => {
    await expect(decode(header(7000, 7200))).rejects.toMatchObject({
      code: 'image_too_many_pixels',
      message: 'Expected an image of at most 50000000 pixels but received a larger PNG',
    });
  });

  it.each(['jpeg', 'png', 'webp', 'gif', 'avif', 'tiff'] as const)(
    'counts the pixels of a %s',
    async (format) => {
      const bytes = await scene({ width: 64, height: 50 }).toFormat(format).toBuffer();
      expect(await decode(bytes, { maxPixels: 3200 })).toHaveLength(192);
      await expect(decode(bytes, { maxPixels: 3199 })).rejects.toMatchObject({
        code: 'image_too_many_pixels',
      });
    },
  );
});
