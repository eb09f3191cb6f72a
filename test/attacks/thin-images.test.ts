import { describe, expect, it } from 'vitest';
import { resample } from '../../src/image/resample.js';
import { sharp } from '../../src/image/sharp.js';
import { decoderTo } from '../image/decoder-to.js';
import { solid } from '../image/drawing.js';

const decoderOf = (side: number) => decoderTo({ width: side, height: side, fit: 'fill', kernel: 'lanczos3' });

/** A million rows of one pixel are 20 KB. */
const column = (height: number) =>
  sharp({ create: { width: 1, height, channels: 3, background: { r: 200, g: 20, b: 90 } } })
    .png()
    .toBuffer();

describe('an image of one column', () => {
  it('is resampled without being held as wide as it becomes: 600 MB here', () => {
    const image = { data: new Uint8Array(3 * 200_000).fill(77), width: 1, height: 200_000 };
    const size = { width: 1000, height: 1 };
    const before = process.resourceUsage().maxRSS;
    const pixels = resample(image, {
      ...{ from: image, size, crop: { left: 0, top: 0, ...size }, kernel: 'linear' },
    });
    expect(pixels).toEqual(new Uint8Array(3000).fill(77));
    expect((process.resourceUsage().maxRSS - before) / 1024).toBeLessThan(200);
  });

  it('does not hold up small images, however many of them wait', async () => {
    const thin = await column(400_000);
    const small = await solid([200, 0, 0], { width: 300, height: 300 }).jpeg().toBuffer();
    const decoder = decoderOf(32);
    let done = 0;
    const decodes = Array.from({ length: 8 }, () => decoder.decode(thin).then(() => done++));
    await decoder.decode(small);
    expect(done).toBe(0);
    await Promise.all(decodes);
  });

  it('is refused by its header where it would be resampled for seconds', async () => {
    const thin = await column(1_000_000);
    for (const side of [224, 4096]) {
      await expect(decoderOf(side).decode(thin)).rejects.toMatchObject({
        code: 'image_too_costly',
        message: 'Expected a PNG that is resized in less time but received one that takes more',
      });
    }
    expect(await decoderOf(32).decode(await column(100_000))).toHaveLength(32 * 32 * 3);
  });
});
