import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  coarsePicture,
  comparedPicture,
  comparedSide,
  isSamePicture,
  mayBeSame,
} from '../../src/audit/same-picture.js';
import { createDecoder } from '../../src/image/decode.js';
import { resizeTo } from '../../src/image/geometry.js';

const side = { width: comparedSide, height: comparedSide };
const decoder = createDecoder({ geometry: resizeTo({ ...side, fit: 'fill', kernel: 'linear' }) });

const [width, height] = [400, 480];

/** Where there is something white on a shirt. */
type Print = (x: number, y: number) => boolean;

/** A shirt on a backdrop with a slope of light and a crease: one photographer's products differ in no more. */
function draw(print: Print, { fill = [70, 85, 100], sleeves = 200 } = {}): Promise<Buffer> {
  const pixels = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    const backdrop = 215 - 0.1 * x - 0.08 * y - (Math.abs(y - 430 - x / 40) < 4 ? 90 : 0);
    const across = Math.abs(x - 200);
    const isBody = across < 90 && y > 75 && y < 400;
    const isSleeve = across < 150 && y > 75 + 0.5 * (across - 90) && y < sleeves - 0.2 * (across - 90);
    const cloth = print(x, y) && across < 85 && y > 100 && y < 390 ? [235, 235, 235] : fill;
    for (const c of [0, 1, 2]) pixels[3 * i + c] = isBody || isSleeve ? (cloth[c] ?? 0) : backdrop - 12 * c;
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

const prints = {
  stripes: (_, y) => y % 30 < 12,
  bars: (x) => x % 18 < 8,
  dots: (x, y) => Math.hypot((x % 50) - 25, (y % 80) - 40) < 17,
  badge: (x, y) => Math.hypot(x - 200, y - 220) < 55 && !(Math.abs(x - 200) < 20 && Math.abs(y - 220) < 40),
} satisfies Record<string, Print>;
const none: Print = () => false;

const copies = {
  'saved again at quality 30': (image: Buffer) => sharp(image).jpeg({ quality: 30 }),
  'made smaller and not in proportion': (image: Buffer) => sharp(image).resize(150, 170, { fit: 'fill' }),
  'cropped by 5 % at each edge': (image: Buffer) =>
    sharp(image).extract({ left: 20, top: 24, width: 360, height: 432 }),
  'cropped at one corner': (image: Buffer) =>
    sharp(image).extract({ left: 30, top: 30, width: 370, height: 450 }),
  mirrored: (image: Buffer) => sharp(image).flop(),
  'mirrored, cropped and saved at quality 40': (image: Buffer) =>
    sharp(image).extract({ left: 20, top: 24, width: 360, height: 432 }).flop().jpeg({ quality: 40 }),
  'made darker with less contrast': (image: Buffer) => sharp(image).linear(0.7, 10),
};

const read = async (image: Buffer) => comparedPicture(await decoder.decode(image));

describe('pictures of products on one backdrop', () => {
  let drawn: Buffer[] = [];
  beforeAll(async () => {
    drawn = await Promise.all(Object.values(prints).map((print) => draw(print)));
  });

  it.each(Object.entries(copies))('are the same when %s, whichever comes first', async (_, copy) => {
    for (const image of drawn) {
      const [rgb, copyRgb] = [
        await decoder.decode(image),
        await decoder.decode(await copy(image).toBuffer()),
      ];
      expect(mayBeSame(coarsePicture(rgb), coarsePicture(copyRgb))).toBe(true);
      const [original, copied] = [comparedPicture(rgb), comparedPicture(copyRgb)];
      expect(isSamePicture(original, copied)).toBe(true);
      expect(isSamePicture(copied, original)).toBe(true);
    }
  });

  it('differ when their prints do', async () => {
    for (const [i, one] of drawn.entries()) {
      for (const other of drawn.slice(i + 1)) {
        expect(isSamePicture(await read(one), await read(other))).toBe(false);
      }
    }
  });

  it('differ when one has long sleeves and neither has a print', async () => {
    const [short, long] = [await draw(none), await draw(none, { sleeves: 340 })];
    expect(isSamePicture(await read(short), await read(long))).toBe(false);
  });

  it('differ when the product has another colour', async () => {
    const [blue, red] = [await draw(prints.dots), await draw(prints.dots, { fill: [150, 50, 50] })];
    expect(isSamePicture(await read(blue), await read(red))).toBe(false);
  });
});

it('even pictures are the same where their colour is, to what JPEG leaves of it', () => {
  const even = (...colour: number[]) =>
    comparedPicture(Uint8Array.from({ length: 3 * comparedSide ** 2 }, (_, i) => colour[i % 3] ?? 0));
  expect(isSamePicture(even(100, 120, 90), even(102, 119, 91))).toBe(true);
  expect(isSamePicture(even(100, 120, 90), even(130, 120, 90))).toBe(false);
  expect(isSamePicture(even(100, 100, 100), even(130, 130, 130))).toBe(false);
});
