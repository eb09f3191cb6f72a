import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { loadEncoder } from '../../../src/encoder/load.js';
import { createDecoder } from '../../../src/image/decode.js';
import { resizeTo, type Geometry, type Kernel, type Size } from '../../../src/image/geometry.js';
import { resample } from '../../../src/image/resample.js';
import { resampleAside } from '../../../src/image/resampler.js';
import { scene, scenePixels } from '../drawing.js';

interface Recorded extends Size {
  readonly sha256: string;
}
interface Embedded extends Recorded {
  readonly embedding: readonly number[];
}

/** As reference.py recorded it of Pillow and ONNX Runtime in Python. */
const reference = JSON.parse(readFileSync(new URL('reference.json', import.meta.url), 'utf8')) as {
  readonly resized: readonly (Recorded & { readonly kernel: Kernel })[];
  readonly exact: Embedded;
  readonly edgeAndCrop: Embedded;
};
const encoder = fileURLToPath(new URL('../../../models/cifar10-compact', import.meta.url));

/** As reference.py draws it. */
function drawn({ width, height }: Size): Uint8Array {
  return Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return ((x * (7 + c) + y * (11 - c) + ((x * y) >> 3)) ^ ((x * x) >> 4)) & 255;
  });
}

const size = { width: 301, height: 203 };
const image = { ...size, data: drawn(size) };
const png = sharp(image.data, { raw: { ...size, channels: 3 } })
  .png()
  .toBuffer();
const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const whole = ({ width, height }: Size) => ({ left: 0, top: 0, width, height });

describe('what Pillow makes of an image', () => {
  it.each(reference.resized)('is made here to the last bit: $kernel to $width x $height', (recorded) => {
    const { kernel, width, height, sha256 } = recorded;
    const to = { width, height };
    expect(sha256Of(resample(image, { from: size, size: to, crop: whole(to), kernel }))).toBe(sha256);
  });

  it.each([
    {
      name: 'an exact resize',
      geometry: resizeTo({ width: 32, height: 32, fit: 'fill', kernel: 'cubic' }),
      recorded: reference.exact,
    },
    {
      name: 'the shorter edge and a crop',
      geometry: {
        resize: { shortestEdge: 41 },
        crop: { width: 32, height: 32 },
        kernel: 'cubic',
      } satisfies Geometry,
      recorded: reference.edgeAndCrop,
    },
  ])('is decoded and embedded as there: $name', async ({ geometry, recorded }) => {
    const pixels = await createDecoder({ geometry }).decode(await png);
    expect(sha256Of(pixels)).toBe(recorded.sha256);
    const { values } = await (await loadEncoder(encoder, { threads: 1 })).embed(pixels, 1);
    const cosine = recorded.embedding.reduce((sum, value, i) => sum + value * (values[i] ?? NaN), 0);
    expect(cosine).toBeGreaterThan(0.99999);
  });

  it('is the same on a thread', async () => {
    const large = { width: 640, height: 480 };
    const pixels = { ...large, data: scenePixels(large) };
    const resampling = {
      from: large,
      size: { width: 90, height: 60 },
      crop: { left: 3, top: 7, width: 50, height: 40 },
      kernel: 'lanczos3',
    } as const;
    const [aside, again] = await Promise.all([
      resampleAside(pixels, resampling),
      resampleAside(pixels, resampling),
    ]);
    expect(aside).toEqual(resample(pixels, resampling));
    expect(again).toEqual(aside);
  });
});

describe('a JPEG and its lossless copy', () => {
  const geometry = resizeTo({ width: 64, height: 64, fit: 'fill', kernel: 'cubic' });
  const both = async (of: Size): Promise<[Uint8Array, Uint8Array]> => {
    // As smooth as photos are at a pixel's distance.
    const jpeg = await scene(of).blur(2).jpeg({ quality: 90 }).toBuffer();
    const copy = await sharp(jpeg).png().toBuffer();
    const decoder = createDecoder({ geometry });
    return [await decoder.decode(jpeg), await decoder.decode(copy)];
  };

  it('have the same pixels', async () => {
    const [jpeg, copy] = await both({ width: 900, height: 700 });
    expect(jpeg).toEqual(copy);
  });

  it.each([
    { width: 2208, height: 1504 },
    { width: 2203, height: 1501 },
    { width: 1501, height: 2207 },
  ])(
    'have nearly the same where they are made smaller while they are decoded: $width x $height',
    async (of) => {
      const [jpeg, copy] = await both(of);
      const differences = [...jpeg].map((value, i) => Math.abs(value - (copy[i] ?? NaN)));
      expect(Math.max(...differences)).toBeLessThanOrEqual(2);
      expect(differences.reduce((sum, value) => sum + value, 0) / differences.length).toBeLessThan(0.6);
    },
  );

  it('are turned upright before they are made smaller', async () => {
    const lying = scene({ width: 2203, height: 1501 }).blur(2);
    const upright = await sharp(await lying.png().toBuffer())
      .rotate(90)
      .png()
      .toBuffer();
    const turned = await lying.withMetadata({ orientation: 6 }).png().toBuffer();
    const decoder = createDecoder({ geometry });
    const [a, b] = [await decoder.decode(upright), await decoder.decode(turned)];
    expect(a).toEqual(b);
  });
});

describe('alpha over white', () => {
  it('is rounded to the nearest', async () => {
    const pixels = Uint8Array.of(10, 100, 200, 128, 0, 50, 255, 1);
    const file = await sharp(pixels, { raw: { width: 2, height: 1, channels: 4 } })
      .png()
      .toBuffer();
    const decoder = createDecoder({
      geometry: resizeTo({ width: 2, height: 1, fit: 'fill', kernel: 'cubic' }),
    });
    const over = (value: number, alpha: number): number =>
      Math.round((value * alpha + 255 * (255 - alpha)) / 255);
    expect([...(await decoder.decode(file))]).toEqual([
      over(10, 128),
      over(100, 128),
      over(200, 128),
      over(0, 1),
      over(50, 1),
      over(255, 1),
    ]);
  });
});
