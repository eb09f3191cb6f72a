import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';

export type ImageFormat = 'png' | 'jpeg' | 'webp';

export interface DrawOptions {
  readonly count: number;
  readonly width: number;
  readonly height: number;
  readonly formats: readonly ImageFormat[];
  readonly seed: number;
}

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Distinct images as files: slopes and waves under noise, which compress about as photos do. */
export async function drawImages(options: DrawOptions): Promise<Buffer[]> {
  const { count, width, height, formats, seed } = options;
  const images: Buffer[] = [];
  // A few at once keep every core busy.
  for (let first = 0; first < count; first += 64) {
    const some = Array.from({ length: Math.min(64, count - first) }, (_, i) => {
      const pixels = drawPixels(width, height, seededRandom(seed * 1_000_003 + first + i));
      const format = formats[(first + i) % formats.length] ?? 'png';
      const drawn = sharp(pixels, { raw: { width, height, channels: 3 } });
      // A quality would make a PNG one of few colours.
      return (format === 'png' ? drawn.png() : drawn.toFormat(format, { quality: 90 })).toBuffer();
    });
    images.push(...(await Promise.all(some)));
  }
  return images;
}

function drawPixels(width: number, height: number, random: () => number): Uint8Array {
  const pixels = new Uint8Array(width * height * 3);
  const waves = Array.from({ length: 3 }, () => ({
    base: 60 + 130 * random(),
    x: (random() - 0.5) / 4,
    y: (random() - 0.5) / 4,
    phase: 6.28 * random(),
  }));
  for (let i = 0; i < pixels.length; i++) {
    const pixel = Math.floor(i / 3);
    const wave = waves[i % 3] ?? { base: 0, x: 0, y: 0, phase: 0 };
    const x = pixel % width;
    const y = (pixel - x) / width;
    pixels[i] = wave.base + 40 * Math.sin(x * wave.x + y * wave.y + wave.phase) + 16 * random();
  }
  return pixels;
}

/** CIFAR-10's test images as PNGs, from the folder of its binary files. */
export async function cifarPngs(folder: string): Promise<Buffer[]> {
  const plane = 32 * 32;
  const records = await readFile(join(folder, 'test_batch.bin'));
  const images: Buffer[] = [];
  for (let start = 1; start < records.length; start += 3 * plane + 1) {
    const pixels = new Uint8Array(3 * plane);
    for (let i = 0; i < pixels.length; i++) {
      pixels[i] = records[start + (i % 3) * plane + Math.floor(i / 3)] ?? 0;
    }
    images.push(
      await sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } })
        .png()
        .toBuffer(),
    );
  }
  return images;
}
