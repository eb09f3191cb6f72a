import { deflateSync } from 'node:zlib';

import sharp from 'sharp';

import { scene, scenePixels } from '../image/drawing.js';
import { filterRows, pngChunk, pngFile, pngHeader } from '../image/png-by-hand.js';

export interface SeedImage {
  readonly name: string;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

const size = { width: 24, height: 20 };
const drawn = (seed = 1) => scene(size, seed);

/** A whole image in every coding that the server takes; small, so that thousands of cases fit in minutes. */
export async function drawSeedImages(): Promise<readonly SeedImage[]> {
  const frames = await Promise.all([1, 2, 3].map((seed) => drawn(seed).png().toBuffer()));
  const animation = () => sharp(frames, { join: { animated: true } });
  const tiffs = (['none', 'lzw', 'deflate', 'jpeg', 'packbits'] as const).map(
    (compression) => [`TIFF ${compression}`, 'image/tiff', drawn().tiff({ compression })] as const,
  );
  const drawings = [
    ['JPEG', 'image/jpeg', drawn().jpeg()],
    ['progressive JPEG', 'image/jpeg', drawn().jpeg({ progressive: true })],
    ['CMYK JPEG', 'image/jpeg', drawn().toColourspace('cmyk').jpeg()],
    ['grey JPEG', 'image/jpeg', drawn().greyscale().jpeg()],
    ['JPEG with EXIF', 'image/jpeg', drawn().withMetadata({ orientation: 6 }).jpeg()],
    ['PNG', 'image/png', drawn().png()],
    ['palette PNG', 'image/png', drawn().png({ palette: true })],
    ['16-bit PNG', 'image/png', drawn().toColourspace('rgb16').withIccProfile('srgb').png()],
    ['interlaced PNG', 'image/png', drawn().png({ progressive: true })],
    ['PNG with alpha', 'image/png', drawn().ensureAlpha(0.5).png()],
    ['WebP', 'image/webp', drawn().webp()],
    ['lossless WebP', 'image/webp', drawn().webp({ lossless: true })],
    ['WebP with alpha', 'image/webp', drawn().ensureAlpha(0.5).webp()],
    ['animated WebP', 'image/webp', animation().webp()],
    ['GIF', 'image/gif', drawn().gif()],
    ['animated GIF', 'image/gif', animation().gif()],
    ['AVIF', 'image/avif', drawn().avif({ effort: 0 })],
    ...tiffs,
    ['tiled TIFF', 'image/tiff', drawn().tiff({ compression: 'lzw', tile: true })],
    ['BigTIFF', 'image/tiff', drawn().tiff({ bigtiff: true })],
    ['LAB TIFF', 'image/tiff', drawn().toColourspace('lab').tiff()],
    ['16-bit TIFF', 'image/tiff', drawn().toColourspace('rgb16').withIccProfile('srgb').tiff()],
  ] as const;
  const files = await Promise.all(
    drawings.map(async ([name, mediaType, image]) => ({ name, mediaType, bytes: await image.toBuffer() })),
  );
  return [
    ...files,
    { name: 'plain PNG', mediaType: 'image/png', bytes: plainPng() },
    { name: 'animated PNG', mediaType: 'image/png', bytes: animatedPng() },
  ];
}

/** Of the encoder's own size, every row under another filter: the server decodes these without sharp. */
function plainPng(): Buffer {
  const side = { width: 32, height: 32 };
  const rows = filterRows(scenePixels(side), { width: 32, filterOf: (row) => row % 5 });
  return pngFile(pngHeader(side), pngChunk('IDAT', deflateSync(rows)), pngChunk('IEND'));
}

/** Two frames, https://www.w3.org/TR/png-3/#apng-frame-based-animation */
function animatedPng(): Buffer {
  const rows = (seed: number) =>
    deflateSync(filterRows(scenePixels(size, seed), { width: size.width, filterOf: () => 0 }));
  return pngFile(
    pngHeader(size),
    pngChunk('acTL', words(2, 0)),
    pngChunk('fcTL', frameControl(0)),
    pngChunk('IDAT', rows(1)),
    pngChunk('fcTL', frameControl(1)),
    pngChunk('fdAT', Buffer.concat([words(2), rows(2)])),
    pngChunk('IEND'),
  );
}

/** A whole frame, shown for a tenth of a second. */
function frameControl(sequence: number): Buffer {
  return Buffer.concat([words(sequence, size.width, size.height, 0, 0), Buffer.from([0, 1, 0, 10, 0, 0])]);
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => bytes.writeUInt32BE(value, i * 4));
  return bytes;
}
