import sharp, { type Sharp } from 'sharp';
import { describe, expect, it } from 'vitest';
import { randomPixels } from '../encoder/folder.js';
import { imageKey, trainedImageDigest } from '../../src/embed/image-key.js';

const size = { width: 2, height: 1 };
const geometry = { resize: size, fit: 'fill', kernel: 'cubic' } as const;
const bytes = Uint8Array.of(1, 2, 3, 4, 5, 6);
const file = { kind: 'file', bytes } as const;
const raw = { kind: 'pixels', pixels: bytes, width: 2, height: 1 } as const;

describe('the key of an image', () => {
  it('is the same for the same bytes, decoded the same way', () => {
    expect(imageKey(file, geometry)).toEqual(
      imageKey({ kind: 'file', bytes: bytes.slice() }, { ...geometry }),
    );
    expect(imageKey(file, geometry)).toHaveLength(32);
  });

  it('differs by bytes, resize, crop, fit, kernel, and between a file and raw pixels of any shape', () => {
    const keys = [
      imageKey(file, geometry),
      imageKey({ kind: 'file', bytes: Uint8Array.of(1, 2, 3, 4, 5, 7) }, geometry),
      imageKey(file, { ...geometry, resize: { ...size, width: 3 } }),
      imageKey(file, { ...geometry, resize: { ...size, height: 2 } }),
      imageKey(file, { ...geometry, fit: 'cover' }),
      imageKey(file, { ...geometry, kernel: 'linear' }),
      imageKey(file, { ...geometry, crop: size }),
      imageKey(file, { resize: { shortestEdge: 2 }, crop: size, kernel: 'cubic' }),
      imageKey(file, { resize: { shortestEdge: 3 }, crop: size, kernel: 'cubic' }),
      imageKey(file, { resize: 'none', crop: size, kernel: 'cubic' }),
      imageKey(raw, geometry),
      imageKey({ ...raw, width: 1, height: 2 }, geometry),
    ].map((key) => key.toString('hex'));
    expect(new Set(keys).size).toBe(keys.length);
  });
});

describe('the digest by which an encoder knows an image again', () => {
  const drawn = randomPixels(3, 32 * 32 * 3);
  const cifar = { kind: 'pixels', pixels: drawn, width: 32, height: 32 } as const;
  const written = (): Sharp => sharp(drawn, { raw: { width: 32, height: 32, channels: 3 } });
  const digestOf = async (image: Sharp): Promise<Buffer> =>
    trainedImageDigest({ kind: 'file', bytes: await image.toBuffer() });

  it('is the same for raw pixels and a small PNG of them, however it is compressed', async () => {
    const digest = trainedImageDigest(cifar);
    expect(await digestOf(written().png())).toEqual(digest);
    expect(await digestOf(written().png({ compressionLevel: 1, adaptiveFiltering: true }))).toEqual(digest);
  });

  it('is another for other pixels, another shape, and for files that are no small plain PNG', async () => {
    const digests = [
      trainedImageDigest(cifar),
      trainedImageDigest({ ...cifar, pixels: randomPixels(4, drawn.length) }),
      trainedImageDigest({ ...cifar, width: 16, height: 64 }),
      await digestOf(written().flop().png()),
      await digestOf(written().webp({ lossless: true })),
      await digestOf(written().resize(65, 64).png()),
      trainedImageDigest({ kind: 'file', bytes: Buffer.from('\x89PNG\r\n\x1a\n', 'latin1') }),
    ].map((digest) => digest.toString('hex'));
    expect(new Set(digests).size).toBe(digests.length);
  });
});
