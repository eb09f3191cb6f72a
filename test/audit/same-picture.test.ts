import sharp from 'sharp';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  coarsePicture,
  comparedPicture,
  comparedSide,
  closeSide,
  isSameUpClose,
  likenessOf,
  mayBeSame,
  type ComparedPicture,
} from '../../src/audit/same-picture.js';
import { createDecoder } from '../../src/image/decode.js';
import { resizeTo } from '../../src/image/geometry.js';
import { seededRandom } from '../../src/domain/seeded-random.js';

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

const isSamePicture = (a: ComparedPicture, b: ComparedPicture): boolean => likenessOf(a, b) !== undefined;
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
  expect(isSamePicture(even(100, 100, 100), even(104, 104, 104))).toBe(false);
});

it('an even picture is the same as itself saved again at quality 30', async () => {
  for (const grey of [3, 77, 128, 200]) {
    const image = await sharp({
      create: { width: 300, height: 200, channels: 3, background: [grey, grey, grey] },
    })
      .png()
      .toBuffer();
    const again = await sharp(image).jpeg({ quality: 30 }).toBuffer();
    expect(likenessOf(await read(image), await read(again))).toMatchObject({ isPlain: true });
  }
});

describe('white slips with a line of print', () => {
  const close = createDecoder({
    geometry: resizeTo({ width: closeSide, height: closeSide, fit: 'fill', kernel: 'linear' }),
  });
  /** Sixty letters of 5 x 7 dots, 22 pixels high, drawn by a seed. */
  function slip(seed: number): Promise<Buffer> {
    const random = seededRandom(seed);
    const dots = Array.from({ length: 60 * 35 }, () => random() < 0.45);
    const grey = new Uint8Array(1200 * 1600).fill(255);
    for (let y = 400; y < 422; y++) {
      for (let x = 100; x < 100 + 60 * 14; x++) {
        const [letter, column] = [Math.floor((x - 100) / 14), Math.floor(((x - 100) % 14) / 2.2)];
        const isInk = column < 5 && dots[35 * letter + 5 * Math.floor((y - 400) / 3.2) + column];
        if (isInk === true) grey[1200 * y + x] = 10;
      }
    }
    return sharp(grey, { raw: { width: 1200, height: 1600, channels: 1 } })
      .png()
      .toBuffer();
  }
  async function isCertain(a: Buffer, b: Buffer): Promise<boolean> {
    const likeness = likenessOf(await read(a), await read(b));
    if (likeness === undefined) return false;
    return !likeness.isPlain || isSameUpClose(await close.decode(a), await close.decode(b), likeness);
  }

  it('are certain to be one picture only where the print is the same', async () => {
    const slips = await Promise.all(Array.from({ length: 8 }, (_, i) => slip(i + 1)));
    for (const [i, one] of slips.entries()) {
      for (const other of slips.slice(i + 1)) expect(await isCertain(one, other)).toBe(false);
    }
    for (const one of slips.slice(0, 2)) {
      expect(await isCertain(one, await sharp(one).jpeg({ quality: 30 }).toBuffer())).toBe(true);
      expect(await isCertain(one, await sharp(one).resize(600).jpeg().toBuffer())).toBe(true);
    }
  });
});

it('a scratch on a part is a difference in one place, and saving again is none', async () => {
  /** Twelve discs on a plate, and a bright scratch between them. */
  function part(isScratched: boolean): Promise<Buffer> {
    const grey = Uint8Array.from({ length: 400 * 400 }, (_, i) => {
      const [x, y] = [i % 400, Math.floor(i / 400)];
      if (isScratched && Math.abs(x - y - 60) < 4 && y > 120 && y < 165) return 255;
      const disc = Math.floor(x / 90) + 4 * Math.floor(y / 120);
      if (Math.hypot((x % 90) - 45, (y % 120) - 60) < 18 + 3 * (disc % 5)) return disc % 2 === 0 ? 235 : 50;
      return Math.min(x, y, 399 - x, 399 - y) < 20 ? 30 : 150;
    });
    return sharp(grey, { raw: { width: 400, height: 400, channels: 1 } })
      .png()
      .toBuffer();
  }
  const [whole, scratched] = [await part(false), await part(true)];
  const again = await sharp(whole).jpeg({ quality: 30 }).toBuffer();
  expect(likenessOf(await read(whole), await read(scratched))).toMatchObject({ differsInPlace: true });
  expect(likenessOf(await read(whole), await read(again))).toMatchObject({ differsInPlace: false });
});
