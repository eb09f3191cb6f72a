import { describe, expect, it } from 'vitest';
import { createDecoder } from '../../src/image/decode.js';
import { resizeTo } from '../../src/image/geometry.js';
import { makeThumbnail } from '../../src/image/thumbnail.js';
import { scene } from './drawing.js';

describe('sharp is set up once for the whole process', () => {
  it('so decoders made while others decode disturb none of them', async () => {
    const jpeg = await scene({ width: 64, height: 48 }).jpeg().toBuffer();
    const options = { geometry: resizeTo({ width: 8, height: 8, fit: 'fill', kernel: 'cubic' }) };
    const shared = createDecoder(options);
    let running = true;
    const makeMany = async () => {
      for (; running; await new Promise(setImmediate)) createDecoder(options);
    };
    const making = makeMany();
    const decodes = await Promise.allSettled(Array.from({ length: 500 }, () => shared.decode(jpeg)));
    running = false;
    await making;
    expect(decodes.filter(({ status }) => status === 'rejected')).toEqual([]);
  });

  it('so thumbnails made at once all succeed and are the same', async () => {
    const jpeg = await scene({ width: 64, height: 48 }).jpeg().toBuffer();
    const made = await Promise.all(Array.from({ length: 150 }, () => makeThumbnail(jpeg, 16)));
    expect(new Set(made.map((webp) => Buffer.from(webp).toString('base64'))).size).toBe(1);
  });
});
