import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../../src/image/decode.js';
import { resizeTo, type Geometry, type Size } from '../../../src/image/geometry.js';

/** As reference.py recorded it of the image processors of transformers. */
const reference = JSON.parse(
  readFileSync(new URL('reference.json', import.meta.url), 'utf8'),
) as readonly (Size & {
  readonly processor: string;
  readonly sha256: string;
})[];

const crop = { width: 56, height: 56, halves: 'down' } as const;
const geometries: Readonly<Record<string, Geometry>> = {
  dinov2: { resize: { shortestEdge: 64 }, crop, kernel: 'cubic' },
  clip: { resize: { shortestEdge: 56 }, crop, kernel: 'cubic' },
  siglip: resizeTo({ width: 56, height: 56, fit: 'fill', kernel: 'cubic' }),
  siglip2: resizeTo({ width: 56, height: 56, fit: 'fill', kernel: 'linear' }),
};

/** A PNG of what reference.py draws. */
function drawn({ width, height }: Size): Promise<Buffer> {
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return ((x * (7 + c) + y * (11 - c) + ((x * y) >> 3)) ^ ((x * x) >> 4)) & 255;
  });
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const pixelsOf = async (geometry: Geometry, size: Size): Promise<string> =>
  sha256Of(await createDecoder({ geometry }).decode(await drawn(size)));

describe('an image processor of transformers', () => {
  it.each(reference)(
    'makes the same pixels to the last bit: $processor of $width x $height',
    async ({ processor, sha256, width, height }) => {
      const geometry = geometries[processor];
      expect(geometry && (await pixelsOf(geometry, { width, height }))).toBe(sha256);
    },
  );

  it('begins a crop elsewhere than torchvision for some of these sizes', async () => {
    const geometry: Geometry = {
      resize: { shortestEdge: 64 },
      crop: { width: 56, height: 56 },
      kernel: 'cubic',
    };
    const of = reference.filter(({ processor }) => processor === 'dinov2');
    const same = await Promise.all(of.map(async (one) => (await pixelsOf(geometry, one)) === one.sha256));
    expect(same).toContain(false);
    expect(same).toContain(true);
  });
});
