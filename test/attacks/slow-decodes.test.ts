import { describe, expect, it } from 'vitest';
import { scene, solid } from '../image/drawing.js';
import { decoderTo } from '../image/decoder-to.js';
import { emptyPng, jpegOfManyScans, jpegSegment, pngOfManyChunks } from './hostile-images.js';

const decoder = (limits: { readonly maxPixels?: number; readonly maxDecodeBytes?: number } = {}) =>
  decoderTo({ width: 32, height: 32, fit: 'cover', kernel: 'cubic', ...limits });
const tooCostly = { code: 'image_too_costly' };

describe('a JPEG of many scans', () => {
  it('of 49 megapixels and 2,647 scans in 240 KB, 30 s of decoding, is refused by its header', async () => {
    const bytes = jpegOfManyScans({ width: 7000, height: 7000, scans: 2647 });
    expect(bytes.length).toBeLessThan(250_000);
    const cpu = process.cpuUsage();
    await expect(decoder().decode(bytes)).rejects.toMatchObject({
      ...tooCostly,
      message: 'Expected a JPEG whose scans have at most 1000000000 samples but received one that takes more',
    });
    expect(process.cpuUsage(cpu).user).toBeLessThan(500_000);
  });

  it.each([
    ['a sequential one, too', { kind: 'sequential', components: 3, scans: 400 } as const, Buffer.alloc(0)],
    [
      'one that hides its frame behind bytes of no segment',
      { scans: 400 } as const,
      Buffer.from([1, 2, 3, 0xff, 0xff]),
    ],
    ['one of tiny scans', { scans: 30_000, width: 8, height: 8 } as const, Buffer.alloc(0)],
  ])('%s', async (_name, options, rubbish) => {
    const whole = jpegOfManyScans({ width: 600, height: 400, ...options });
    const bytes = Buffer.concat([whole.subarray(0, 2), jpegSegment(0xfe), rubbish, whole.subarray(2)]);
    await expect(decoder({ maxPixels: 400_000 }).decode(bytes)).rejects.toMatchObject(tooCostly);
  });

  it('is decoded where the scans are as many as encoders write, up to the last pixel allowed', async () => {
    for (const components of [1, 3]) {
      const bytes = jpegOfManyScans({ width: 800, height: 500, scans: 12, components });
      expect(await decoder({ maxPixels: 400_000 }).decode(bytes)).toHaveLength(32 * 32 * 3);
    }
    const sequential = jpegOfManyScans({
      width: 80,
      height: 50,
      scans: 3,
      components: 3,
      kind: 'sequential',
    });
    expect(await decoder().decode(sequential)).toHaveLength(32 * 32 * 3);
    const photo = scene({ width: 800, height: 500 });
    for (const chromaSubsampling of ['4:2:0', '4:4:4']) {
      const bytes = await photo.jpeg({ progressive: true, chromaSubsampling }).toBuffer();
      expect(await decoder({ maxPixels: 400_000 }).decode(bytes)).toHaveLength(32 * 32 * 3);
    }
  });

  it('lets small images pass while large ones are decoded, however many wait', async () => {
    const large = jpegOfManyScans({ width: 1500, height: 1500, scans: 50 });
    const small = await solid([200, 0, 0]).jpeg().toBuffer();
    const shared = decoder();
    let done = 0;
    const all = Array.from({ length: 16 }, () => shared.decode(large).then(() => done++));
    await shared.decode(small);
    expect(done).toBeLessThanOrEqual(4);
    await Promise.all(all);
  });
});

describe('a header of many parts', () => {
  /** How long the event loop was held before the decoder first waited for anything. */
  function heldMs(bytes: Uint8Array): { readonly ms: number; readonly decoded: Promise<unknown> } {
    const started = performance.now();
    const decoded = decoder().decode(bytes);
    return { ms: performance.now() - started, decoded };
  }

  it('is refused where a PNG has 820,000 chunks, without holding the event loop', async () => {
    const { ms, decoded } = heldMs(pngOfManyChunks(820_000));
    await expect(decoded).rejects.toMatchObject(tooCostly);
    expect(ms).toBeLessThan(200);
  });

  it('is refused where a JPEG has two million segments', async () => {
    const whole = await solid([1, 2, 3]).jpeg().toBuffer();
    const segments = Buffer.alloc(8_000_000, jpegSegment(0xfe));
    const { ms, decoded } = heldMs(Buffer.concat([whole.subarray(0, 2), segments, whole.subarray(2)]));
    await expect(decoded).rejects.toMatchObject(tooCostly);
    expect(ms).toBeLessThan(200);
  });

  it('is decoded where a PNG has a thousand chunks, as large files do', async () => {
    expect(await decoder().decode(pngOfManyChunks(1000))).toHaveLength(32 * 32 * 3);
  });
});

describe('an image that needs much memory', () => {
  it('is refused where it is an interlaced 16-bit PNG of 49 megapixels', async () => {
    const bytes = emptyPng({ width: 7000, height: 7000, depth: 16, interlace: 1 });
    await expect(decoder().decode(bytes)).rejects.toMatchObject({
      ...tooCostly,
      message: 'Expected a PNG that is decoded in at most 300000000 bytes but received one that takes more',
    });
  });

  it.each(['png', 'gif', 'webp', 'avif', 'tiff'] as const)(
    'is refused where a %s has as many pixels as the limit has bytes',
    async (format) => {
      const bytes = await solid([9, 9, 9], { width: 1000, height: 1000 })
        .toFormat(format, { effort: 1 })
        .toBuffer();
      await expect(decoder({ maxDecodeBytes: 1_000_000 }).decode(bytes)).rejects.toMatchObject(tooCostly);
      expect(await decoder({ maxDecodeBytes: 50_000_000 }).decode(bytes)).toHaveLength(32 * 32 * 3);
    },
  );

  it('is decoded where it is a plain JPEG of a phone, of which libjpeg holds a few rows', async () => {
    const bytes = await solid([9, 9, 9], { width: 2000, height: 1500 }).jpeg().toBuffer();
    expect(await decoder({ maxDecodeBytes: 2_000_000 }).decode(bytes)).toHaveLength(32 * 32 * 3);
  });
});

describe('an image that is long and thin', () => {
  const thin = (width: number, height: number) => emptyPng({ width, height, colourType: 0 });
  const tooLong = {
    code: 'image_unsupported',
    message: 'Expected an image that can be resized but received a PNG that is too long and thin',
  };

  it('is refused by its header where it has 49,000,000 x 1 pixels, and is not called damaged', async () => {
    const bytes = thin(49_000_000, 1);
    const cpu = process.cpuUsage();
    await expect(decoder().decode(bytes)).rejects.toMatchObject(tooLong);
    expect(process.cpuUsage(cpu).user).toBeLessThan(200_000);
  });

  it('is decoded where it would become 201,600,000 pixels long, of which only the middle is made', async () => {
    const large = decoderTo({ width: 224, height: 224, fit: 'cover', kernel: 'cubic' });
    expect(await large.decode(thin(900_000, 1))).toHaveLength(224 * 224 * 3);
  });

  it('is decoded where it is a strip', async () => {
    expect(await decoder().decode(thin(100_000, 2))).toHaveLength(32 * 32 * 3);
  });
});
