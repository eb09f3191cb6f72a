import { describe, expect, it } from 'vitest';
import { farthestFrom, scene, solid } from './drawing.js';
import { decoderTo } from './decoder-to.js';
import { pngChunk, pngFile, pngHeader } from './png-by-hand.js';

const fill = decoderTo({ width: 32, height: 32, fit: 'fill', kernel: 'lanczos3' });
const cover = decoderTo({ width: 64, height: 64, fit: 'cover', kernel: 'cubic' });
const tall = () => scene({ width: 120, height: 400 });

const files = [
  ['JPEG', () => tall().jpeg()],
  ['progressive JPEG', () => tall().jpeg({ progressive: true })],
  ['PNG', () => tall().png()],
  ['interlaced PNG', () => tall().png({ progressive: true })],
  ['palette PNG', () => tall().png({ palette: true })],
  ['WebP', () => tall().webp()],
  ['lossless WebP', () => tall().webp({ lossless: true })],
  ['WebP with alpha', () => tall().ensureAlpha(0.5).webp()],
  ['GIF', () => tall().gif()],
  ['AVIF', () => tall().avif({ effort: 0 })],
  ['LZW TIFF', () => tall().tiff({ compression: 'lzw' })],
  ['deflated TIFF', () => tall().tiff({ compression: 'deflate' })],
  ['plain TIFF', () => tall().tiff({ compression: 'none' })],
  ['JPEG TIFF', () => tall().tiff({ compression: 'jpeg' })],
  ['tiled TIFF', () => tall().tiff({ compression: 'lzw', tile: true })],
] as const;

describe('a file that was cut off', () => {
  it.each(files)('%s is damaged wherever the cut, and whole without one', async (_name, draw) => {
    const whole = await draw().toBuffer();
    await fill.decode(whole);
    await cover.decode(whole);
    const lengths = [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.995].map((part) =>
      Math.ceil(whole.length * part),
    );
    for (const length of [...lengths, whole.length - 20, whole.length - 2]) {
      for (const decoder of [fill, cover]) {
        await expect(
          decoder.decode(whole.subarray(0, length)),
          `${length} of ${whole.length}`,
        ).rejects.toMatchObject({
          code: 'image_damaged',
        });
      }
    }
  });

  it('is damaged though an end marker lies in its metadata, as a thumbnail has one', async () => {
    const whole = await tall().jpeg().toBuffer();
    const comment = Buffer.concat([Buffer.from([0xff, 0xfe, 0, 6]), Buffer.from([0xff, 0xd9, 0xff, 0xd9])]);
    const commented = Buffer.concat([whole.subarray(0, 2), comment, whole.subarray(2)]);
    expect(await cover.decode(commented)).toEqual(await cover.decode(whole));
    await expect(cover.decode(commented.subarray(0, -200))).rejects.toMatchObject({ code: 'image_damaged' });
  });

  it('is damaged from its first bytes on, in every format', async () => {
    for (const [, draw] of files) {
      const whole = await draw().toBuffer();
      for (const length of [12, 14, 16, 20, 24, 30]) {
        await expect(fill.decode(whole.subarray(0, length))).rejects.toMatchObject({ code: 'image_damaged' });
      }
    }
  });

  it('says so without a word of how it was read', async () => {
    const whole = await tall().jpeg().toBuffer();
    const error: unknown = await fill.decode(whole.subarray(0, 900)).catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'image_damaged',
      message: 'Expected a whole JPEG image but received one that is truncated or corrupt',
    });
  });
});

describe('a file that is wrong inside', () => {
  it('is damaged where a PNG checksum does not match', async () => {
    const bytes = await solid([9, 9, 9]).png().toBuffer();
    const idat = bytes.indexOf('IDAT');
    bytes[idat + 6] = (bytes[idat + 6] ?? 0) ^ 0xff;
    await expect(fill.decode(bytes)).rejects.toMatchObject({ code: 'image_damaged' });
  });

  it('is damaged where a PNG has a header and nothing else', async () => {
    const bytes = pngFile(pngHeader({ width: 32, height: 32 }), pngChunk('IEND'));
    await expect(fill.decode(bytes)).rejects.toMatchObject({ code: 'image_damaged' });
  });

  it('is damaged where a PNG has no width', async () => {
    const bytes = pngFile(pngHeader({ width: 0, height: 32 }), pngChunk('IDAT'), pngChunk('IEND'));
    await expect(fill.decode(bytes)).rejects.toMatchObject({ code: 'image_damaged' });
  });

  it('is damaged where only the name of a format is right', async () => {
    for (const start of [
      '\xff\xd8\xff\xe0',
      '\x89PNG\r\n\x1a\n',
      'RIFF\x99\0\0\0WEBPVP8 ',
      'GIF89a',
      'II*\0',
    ]) {
      const bytes = Buffer.concat([Buffer.from(start, 'latin1'), Buffer.alloc(200, 'text')]);
      await expect(fill.decode(bytes), start).rejects.toMatchObject({ code: 'image_damaged' });
    }
  });

  it('is an answer or a known error for a JPEG with any byte changed, never a crash', async () => {
    const whole = await scene({ width: 40, height: 40 }).jpeg().toBuffer();
    const codes = new Set<unknown>();
    for (let at = 2; at < whole.length; at += 7) {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ 0x55;
      const outcome: unknown = await fill.decode(bytes).then(
        () => 'decoded',
        (error: unknown) => (error as { code?: unknown }).code,
      );
      codes.add(outcome);
    }
    codes.delete('decoded');
    codes.delete('image_damaged');
    codes.delete('image_too_many_pixels');
    codes.delete('image_unsupported');
    expect([...codes]).toEqual([]);
  });
});

describe('a file that is odd but whole', () => {
  const colour = [200, 100, 50] as const;
  const jpeg = () => solid(colour, { width: 64, height: 64 }).jpeg({ quality: 100 }).toBuffer();

  it('is decoded with rubbish after its end', async () => {
    for (const decoder of [fill, cover]) {
      for (const bytes of [await jpeg(), await solid(colour).png().toBuffer()]) {
        const longer = Buffer.concat([bytes, Buffer.alloc(5000, 'x')]);
        expect(farthestFrom(await decoder.decode(longer), colour)).toBeLessThanOrEqual(2);
      }
    }
  });

  it('is decoded where libjpeg only warns: bytes that belong to nothing before the end marker', async () => {
    const bytes = await jpeg();
    const odd = Buffer.concat([bytes.subarray(0, -2), Buffer.from([0, 0, 0]), bytes.subarray(-2)]);
    expect(farthestFrom(await fill.decode(odd), colour)).toBeLessThanOrEqual(2);
  });

  it('is decoded with a profile that is none', async () => {
    const bytes = await jpeg();
    const profile = Buffer.from('ICC_PROFILE\0\x01\x01not a profile', 'latin1');
    const segment = Buffer.concat([Buffer.from([0xff, 0xe2, 0, profile.length + 2]), profile]);
    const odd = Buffer.concat([bytes.subarray(0, 2), segment, bytes.subarray(2)]);
    expect(farthestFrom(await fill.decode(odd), colour)).toBeLessThanOrEqual(2);
  });

  it('is decoded with fill bytes between its segments', async () => {
    const bytes = await jpeg();
    const odd = Buffer.concat([bytes.subarray(0, 2), Buffer.from([0xff, 0xff]), bytes.subarray(2)]);
    expect(farthestFrom(await fill.decode(odd), colour)).toBeLessThanOrEqual(2);
  });
});
