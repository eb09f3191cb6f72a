import zlib from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodePlainPng } from '../../src/image/plain-png.js';
import { scene, scenePixels, seededBytes } from './drawing.js';
import { filterRows, pngChunk, pngFile, pngHeader } from './png-by-hand.js';

const size = { width: 19, height: 23 };
const pixels = scenePixels(size, 7);
const rows = (filterOf: (row: number) => number) => filterRows(pixels, { width: size.width, filterOf });
const data = (filtered = rows((row) => row % 5)) => zlib.deflateSync(filtered);
const end = pngChunk('IEND');

describe('decodePlainPng', () => {
  it.each([0, 1, 2, 3, 4])('undoes filter %i to the pixels that were drawn', (filter) => {
    const file = pngFile(pngHeader(size), pngChunk('IDAT', data(rows(() => filter))), end);
    expect(decodePlainPng(file, size)).toEqual(pixels);
  });

  it('gives the pixels sharp gives, for noise under any mixture of filters, in any number of pieces', async () => {
    const next = seededBytes(3);
    for (let round = 0; round < 40; round++) {
      const width = 1 + (next() % 40);
      const height = 1 + (next() % 40);
      const noise = Uint8Array.from({ length: width * height * 3 }, next);
      const stream = zlib.deflateSync(filterRows(noise, { width, filterOf: () => next() % 5 }));
      const cut = next() % stream.length;
      const pieces = [stream.subarray(0, cut), stream.subarray(cut)].map((piece) => pngChunk('IDAT', piece));
      const file = pngFile(pngHeader({ width, height }), ...pieces, end);
      const decoded = decodePlainPng(file, { width, height });
      expect(decoded).toEqual(noise);
      expect(decoded).toEqual(new Uint8Array(await sharp(file).raw().toBuffer()));
    }
  });

  it('agrees with sharp beside every chunk it calls harmless', async () => {
    const gamma = Buffer.from([0, 1, 0x86, 0xa0]); // 1.0, far from sRGB's
    const chroma = Buffer.alloc(32, 1);
    const extra = [
      pngChunk('gAMA', gamma),
      pngChunk('cHRM', chroma),
      pngChunk('sRGB', Buffer.from([0])),
      pngChunk('pHYs', Buffer.alloc(9, 1)),
      pngChunk('tIME', Buffer.from([7, 0xe8, 1, 1, 1, 1, 1])),
    ];
    for (const chunk of extra) {
      const file = pngFile(pngHeader(size), chunk, pngChunk('IDAT', data()), end);
      expect(decodePlainPng(file, size)).toEqual(pixels);
      expect(new Uint8Array(await sharp(file).raw().toBuffer())).toEqual(pixels);
    }
  });

  it('reads a view into a larger buffer, and ignores what follows the image', () => {
    const file = pngFile(pngHeader(size), pngChunk('IDAT', data()), end);
    const around = Buffer.concat([Buffer.from('before'), file, Buffer.from('after')]);
    expect(decodePlainPng(around.subarray(6), size)).toEqual(pixels);
  });

  it('reads what sharp writes', async () => {
    const thirtyTwo = { width: 32, height: 32 };
    const file = await scene(thirtyTwo).png({ compressionLevel: 9, adaptiveFiltering: true }).toBuffer();
    expect(decodePlainPng(file, thirtyTwo)).toEqual(scenePixels(thirtyTwo));
  });

  it.each([
    ['another size', pngFile(pngHeader({ width: 23, height: 19 }), pngChunk('IDAT', data()), end)],
    ['16 bits', pngFile(pngHeader({ ...size, depth: 16 }), pngChunk('IDAT', data()), end)],
    ['a palette', pngFile(pngHeader({ ...size, colourType: 3 }), pngChunk('IDAT', data()), end)],
    ['alpha', pngFile(pngHeader({ ...size, colourType: 6 }), pngChunk('IDAT', data()), end)],
    ['interlacing', pngFile(pngHeader({ ...size, interlace: 1 }), pngChunk('IDAT', data()), end)],
    [
      'a transparent colour',
      pngFile(pngHeader(size), pngChunk('tRNS', Buffer.alloc(6)), pngChunk('IDAT', data()), end),
    ],
    ['EXIF', pngFile(pngHeader(size), pngChunk('eXIf', Buffer.from('MM\0*')), pngChunk('IDAT', data()), end)],
    [
      'a profile',
      pngFile(pngHeader(size), pngChunk('iCCP', Buffer.from('p\0\0')), pngChunk('IDAT', data()), end),
    ],
    ['frames', pngFile(pngHeader(size), pngChunk('acTL', Buffer.alloc(8)), pngChunk('IDAT', data()), end)],
    ['no image', pngFile(pngHeader(size), end)],
    ['no end', pngFile(pngHeader(size), pngChunk('IDAT', data()))],
    ['no header', pngFile(pngChunk('IDAT', data()), end)],
    [
      'an unknown filter',
      pngFile(pngHeader(size), pngChunk('IDAT', data(rows((row) => (row === 9 ? 5 : 0)))), end),
    ],
    ['a row too few', pngFile(pngHeader(size), pngChunk('IDAT', data(rows(() => 0).subarray(58))), end)],
    ['a row too many', pngFile(pngHeader(size), pngChunk('IDAT', data(Buffer.alloc(24 * 58))), end)],
    ['a bomb in its data', pngFile(pngHeader(size), pngChunk('IDAT', data(Buffer.alloc(50_000_000))), end)],
    ['a cut-off stream', pngFile(pngHeader(size), pngChunk('IDAT', data().subarray(0, -9)), end)],
  ])('leaves a PNG with %s to sharp', (_what, file) => {
    expect(decodePlainPng(file, size)).toBeUndefined();
  });

  it('leaves a PNG with any one byte wrong to sharp, or reads it right', () => {
    const file = pngFile(pngHeader(size), pngChunk('IDAT', data()), end);
    for (let at = 8; at < file.length; at++) {
      const flipped = Buffer.from(file);
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      expect(decodePlainPng(flipped, size)).toBeUndefined();
    }
  });

  it('leaves a PNG cut off anywhere to sharp', () => {
    const file = pngFile(pngHeader(size), pngChunk('IDAT', data()), end);
    for (let length = 0; length < file.length; length++) {
      expect(decodePlainPng(file.subarray(0, length), size)).toBeUndefined();
    }
  });

  it('leaves a PNG of more than 64 x 64 pixels to sharp and its threads', async () => {
    const large = { width: 65, height: 64 };
    expect(decodePlainPng(await scene(large).png().toBuffer(), large)).toBeUndefined();
  });
});
