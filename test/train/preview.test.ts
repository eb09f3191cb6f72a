import { describe, expect, it } from 'vitest';
import { decoderTo } from '../image/decoder-to.js';
import { contactSheet, drawPreview } from '../../src/train/preview.js';
import { createSampler } from '../../src/train/sampler.js';
import { pixelAt } from '../image/drawing.js';
import { greys } from './augment/images.js';
import { drawnViews } from './drawn-views.js';

describe('a contact sheet', () => {
  it('enlarges small images by a whole factor and sets the first of each row apart', () => {
    const image = (grey: number) => greys([[grey, grey + 1]].flatMap((row) => [row, row]));
    const sheet = contactSheet([
      [image(10), image(20), image(30)],
      [image(40), image(50), image(60)],
    ]);
    // 96 pixels for each image of 2 x 2; gaps of 4 around, and of 12 behind the first column.
    expect([sheet.width, sheet.height]).toEqual([4 + 96 + 12 + 96 + 4 + 96 + 4, 4 + 96 + 4 + 96 + 4]);
    const at = (x: number, y: number) => pixelAt(Uint8Array.from(sheet.values), sheet.width, [x, y])[0];
    expect([at(3, 50), at(4, 50), at(51, 50), at(52, 50), at(99, 50), at(100, 50)]).toEqual([
      255, 10, 10, 11, 11, 255,
    ]);
    expect([at(111, 4), at(112, 4), at(207, 99), at(208, 99), at(212, 99)]).toEqual([255, 20, 21, 255, 30]);
    expect([at(4, 103), at(4, 104), at(112, 150), at(212, 199), at(212, 200)]).toEqual([
      255, 40, 50, 60, 255,
    ]);
  });
});

describe('the preview', () => {
  it('is a PNG with the original first and the views that training sees behind it', async () => {
    const views = drawnViews({ operations: [{ kind: 'horizontalFlip', probability: 1 }], inputSize: 10 });
    const { labels } = views.images;
    const sampler = createSampler({ kind: 'plain', labels, classes: 4, batch: 8, seed: 3 });
    const png = await drawPreview({ views, sampler, rows: 2, columns: 3 });
    // 9 times as large: 90 pixels for an image of 10 x 10.
    const [width, height] = [4 + 90 + 12 + 3 * 90 + 2 * 4 + 4, 4 + 2 * (90 + 4)];
    const pixels = await decoderTo({ width, height, fit: 'fill', kernel: 'nearest' }).decode(png);
    const stored = new Uint8Array(views.images.pixels);
    for (const [row, image] of sampler.batch({ epoch: 0, step: 0 }).slice(0, 2).entries()) {
      for (let x = 0; x < 10; x++) {
        const own = [...stored.subarray((image * 100 + x) * 3, (image * 100 + x) * 3 + 3)];
        const y = 4 + row * 94;
        expect(pixelAt(pixels, width, [4 + 9 * x, y])).toEqual(own);
        for (let view = 0; view < 3; view++) {
          expect(pixelAt(pixels, width, [106 + 94 * view + 9 * (9 - x), y])).toEqual(own);
        }
      }
    }
  });
});
