import sharp from 'sharp';
import { expect, test } from 'vitest';
import { makeThumbnail } from '../../src/image/thumbnail.js';
import { pixelAt, quarters, scene, scenePixels } from './drawing.js';

const red = [255, 0, 0] as const;
const green = [0, 255, 0] as const;
const blue = [0, 0, 255] as const;
const white = [255, 255, 255] as const;

async function opened(webp: Uint8Array): Promise<{ width: number; height: number; pixels: Uint8Array }> {
  const { data, info } = await sharp(webp).raw().toBuffer({ resolveWithObject: true });
  expect((await sharp(webp).metadata()).format).toBe('webp');
  return { width: info.width, height: info.height, pixels: data };
}

test('a photograph shrinks to the side and keeps its proportions', async () => {
  const jpeg = await scene({ width: 400, height: 200 }).jpeg().toBuffer();
  const { width, height } = await opened(await makeThumbnail({ kind: 'file', bytes: jpeg }, 100));
  expect([width, height]).toEqual([100, 50]);
});

test('a photograph on its side is turned upright', async () => {
  // Orientation 6: to be turned by 90 degrees clockwise, so the bottom left quarter comes to the top left.
  const jpeg = await quarters([red, green, blue, white], { width: 240, height: 120 })
    .withMetadata({ orientation: 6 })
    .jpeg({ quality: 95, chromaSubsampling: '4:4:4' })
    .toBuffer();
  const { width, height, pixels } = await opened(await makeThumbnail(jpeg, 80));
  expect([width, height]).toEqual([40, 80]);
  const [r, g, b] = pixelAt(pixels, width, [5, 5]);
  expect(b).toBeGreaterThan(200);
  expect(Math.max(r, g)).toBeLessThan(60);
});

test('a tiny image grows by a whole factor, each pixel to a sharp square', async () => {
  const pixels = scenePixels({ width: 8, height: 4 });
  const grown = await opened(await makeThumbnail({ kind: 'pixels', pixels, width: 8, height: 4 }, 30));
  expect([grown.width, grown.height]).toEqual([24, 12]);
  for (const [x, y] of [
    [0, 0],
    [7, 3],
    [3, 2],
  ] as const) {
    for (const at of [
      [3 * x, 3 * y],
      [3 * x + 2, 3 * y + 2],
    ] as const) {
      expect(pixelAt(grown.pixels, grown.width, at)).toEqual(pixelAt(pixels, 8, [x, y]));
    }
  }
});

test('an image of about the side stays as large as it is', async () => {
  const png = await scene({ width: 60, height: 40 }).png().toBuffer();
  const { width, height } = await opened(await makeThumbnail(png, 100));
  expect([width, height]).toEqual([60, 40]);
});

test('a very long image keeps a line', async () => {
  const png = await scene({ width: 2000, height: 2 }).png().toBuffer();
  const { width, height } = await opened(await makeThumbnail(png, 50));
  expect([width, height]).toEqual([50, 1]);
});

test.each([
  ['an empty file', new Uint8Array(), 'image_empty'],
  ['text', Buffer.from('no image'), 'image_unsupported'],
  ['a header and nothing more', Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), 'image_damaged'],
])('%s is refused in the words of the decoder', async (_, bytes, code) => {
  await expect(makeThumbnail(bytes, 32)).rejects.toMatchObject({ code });
});

test('a file that is cut off is refused', async () => {
  const jpeg = await scene({ width: 200, height: 200 }).jpeg().toBuffer();
  const half = jpeg.subarray(0, jpeg.length / 2);
  await expect(makeThumbnail(half, 32)).rejects.toMatchObject({ code: 'image_damaged' });
});

test('pixels that do not fill their size are refused', async () => {
  const content = { kind: 'pixels', pixels: new Uint8Array(5), width: 2, height: 2 } as const;
  await expect(makeThumbnail(content, 32)).rejects.toMatchObject({ code: 'image_damaged' });
});
