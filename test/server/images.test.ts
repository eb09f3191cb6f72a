import { deflateSync } from 'node:zlib';

import sharp, { type Sharp } from 'sharp';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { decisionSchema } from '../../src/server/schemas.js';
import { pngChunk, pngFile, pngHeader } from '../image/png-by-hand.js';
import { expectProblem, multipart, startTestServer, type Answer, type TestServer } from './test-server.js';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterEach(() => server.expectStillServing());
afterAll(() => server.close());

const post = (content: Uint8Array | string, filename = 'photo.jpg'): Promise<Answer> =>
  server.ask('/classify', {
    method: 'POST',
    headers: { 'content-type': 'multipart/form-data; boundary=edge' },
    body: multipart([{ name: 'image', filename, content }]),
  });

/** Noise, so that half of the file is half of the picture. */
const noise = (): Sharp =>
  sharp({
    create: {
      width: 64,
      height: 64,
      channels: 3,
      background: 'black',
      noise: { type: 'gaussian', mean: 128, sigma: 60 },
    },
  });
const blue = (channels: 3 | 4 = 3): Sharp =>
  sharp({ create: { width: 16, height: 8, channels, background: { r: 0, g: 0, b: 255, alpha: 0.9 } } });

describe('a bad image', () => {
  it.each([
    ['text renamed .jpg', 'this is not a picture'],
    [
      'SVG',
      '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
    ],
    ['PDF', '%PDF-1.7\n1 0 obj\n<<>>\nendobj\n'],
    ['BMP', Buffer.concat([Buffer.from('BM'), Buffer.alloc(60)])],
    ['a zip file', Buffer.concat([Buffer.from('PK\x03\x04'), Buffer.alloc(60)])],
  ])('that is %s is image_unsupported', async (_what, content) => {
    expect(expectProblem(await post(content), 415, 'image_unsupported')).toMatch(/^Expected a/);
  });

  it.each(['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const)(
    'that is a %s cut in half is image_damaged',
    async (format) => {
      const whole = await noise().toFormat(format).toBuffer();
      expect((await post(whole)).status).toBe(200);
      expectProblem(await post(whole.subarray(0, whole.length / 2)), 422, 'image_damaged');
    },
  );

  it('of 30,000 x 30,000 pixels is image_too_many_pixels, before memory is taken for them', async () => {
    const bomb = pngFile(
      pngHeader({ width: 30_000, height: 30_000 }),
      pngChunk('IDAT', deflateSync(Buffer.alloc(1_000_000))),
      pngChunk('IEND'),
    );
    const before = process.memoryUsage().rss;
    const answer = await post(bomb);
    expectProblem(answer, 413, 'image_too_many_pixels');
    expect(process.memoryUsage().rss - before).toBeLessThan(300_000_000);
  });
});

describe('an odd image that is valid', () => {
  it.each<[string, () => Promise<Buffer>]>([
    ['CMYK JPEG', () => blue().toColourspace('cmyk').jpeg().toBuffer()],
    ['16-bit PNG', () => blue().toColourspace('rgb16').png().toBuffer()],
    ['PNG with alpha', () => blue(4).png().toBuffer()],
    ['palette PNG', () => blue().png({ palette: true }).toBuffer()],
    ['PNG of 1 x 1', () => blue().resize(1, 1).png().toBuffer()],
    ['WebP with alpha', () => blue(4).webp().toBuffer()],
    ['AVIF', () => blue().avif().toBuffer()],
    ['TIFF', () => blue().tiff().toBuffer()],
    [
      'animated GIF',
      async () => {
        const frames = [await blue().png().toBuffer(), await blue().negate().png().toBuffer()];
        return sharp(frames, { join: { animated: true } })
          .gif()
          .toBuffer();
      },
    ],
    [
      'animated WebP',
      async () => {
        const frames = [await blue().png().toBuffer(), await blue().negate().png().toBuffer()];
        return sharp(frames, { join: { animated: true } })
          .webp({ lossless: true })
          .toBuffer();
      },
    ],
    ['rotated JPEG', () => blue().withMetadata({ orientation: 6 }).jpeg().toBuffer()],
  ])('is classified: a %s', async (_what, draw) => {
    const answer = await post(await draw());
    expect(decisionSchema.parse(answer.body).label).toBe('blue');
  });

  it('is classified: grey, with and without alpha', async () => {
    for (const image of [
      noise().greyscale().png(),
      noise().greyscale().jpeg(),
      noise().greyscale().ensureAlpha().png(),
    ]) {
      expect((await post(await image.toBuffer())).status).toBe(200);
    }
  });
});
