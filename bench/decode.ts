/**
 * What decoding one image costs, in core-milliseconds (CPU of the whole process, threads included), for distinct
 * images and several decodes at once, and what the reader of plain PNGs saves: `npx tsx bench/decode.ts`.
 */
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import sharp from 'sharp';
import { loadEncoder } from '../src/encoder/load.js';
import { createDecoder } from '../src/image/decode.js';
import { resizeTo } from '../src/image/geometry.js';

type Decode = (bytes: Uint8Array) => Promise<Uint8Array>;

/** Gradients under noise: files of about the size of a photo's. */
function pixelsOf(width: number, height: number, seed: number): Uint8Array {
  const pixels = new Uint8Array(width * height * 3);
  let state = seed + 1;
  for (let i = 0; i < pixels.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const x = Math.floor(i / 3) % width;
    const y = Math.floor(i / 3 / width);
    pixels[i] = 100 + 80 * Math.sin((x * (1 + (i % 3)) + seed) / 37) + 40 * Math.cos(y / 23) + (state >>> 28);
  }
  return pixels;
}

const drawn = (width: number, height: number, seed: number) =>
  sharp(pixelsOf(width, height, seed), { raw: { width, height, channels: 3 } });

/** The chain one writes first: metadata, then everything that some image might need. */
const naive =
  (width: number, height: number): Decode =>
  async (bytes) => {
    const { format } = await sharp(bytes).metadata();
    if (format === 'svg') throw new Error('unsupported');
    return sharp(bytes)
      .rotate()
      .flatten({ background: '#fff' })
      .toColourspace('srgb')
      .removeAlpha()
      .resize(width, height, { fit: 'fill' })
      .raw()
      .toBuffer();
  };

async function measure(decode: Decode, images: readonly Uint8Array[], atOnce: number) {
  for (const image of images.slice(0, 200)) await decode(image);
  const cpu = process.cpuUsage();
  const started = performance.now();
  const loop = performance.eventLoopUtilization();
  let next = 0;
  const lane = async () => {
    for (let image = images[next++]; image !== undefined; image = images[next++]) await decode(image);
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  const { user, system } = process.cpuUsage(cpu);
  const loopMs = performance.eventLoopUtilization(loop).active;
  const perImage = (ms: number) => (ms / images.length).toFixed(3);
  return {
    'core-ms per image': perImage((user + system) / 1000),
    'of it on the event loop, ms': perImage(loopMs),
    'wall ms per image': perImage(performance.now() - started),
  };
}

async function files(count: number, draw: (seed: number) => Promise<Buffer>): Promise<Buffer[]> {
  const out: Buffer[] = [];
  for (let seed = 0; seed < count; seed++) out.push(await draw(seed));
  return out;
}

const small = { width: 32, height: 32, fit: 'fill', kernel: 'lanczos3' } as const;
const large = { width: 224, height: 224, fit: 'cover', kernel: 'cubic' } as const;
const toSmall = createDecoder({ geometry: resizeTo(small) });
const toLarge = createDecoder({ geometry: resizeTo(large) });
const decodeSmall: Decode = (bytes) => toSmall.decode(bytes);
const decodeLarge: Decode = (bytes) => toLarge.decode(bytes);
const smallPngs = await files(5000, (seed) =>
  drawn(32, 32, seed).png({ adaptiveFiltering: true }).toBuffer(),
);
// A text chunk is enough to be no plain PNG: this is what sharp costs.
const textBody = Buffer.from('tEXta\0b', 'latin1');
const text = Buffer.alloc(15);
text.writeUInt32BE(3, 0);
text.set(textBody, 4);
text.writeUInt32BE(crc32(textBody), 11);
const oddPngs = smallPngs.map((png) => Buffer.concat([png.subarray(0, 33), text, png.subarray(33)]));
const smallJpegs = await files(2000, (seed) => drawn(32, 32, seed).jpeg({ quality: 90 }).toBuffer());
const photos = await files(150, (seed) => drawn(1000, 800, seed).jpeg({ quality: 85 }).toBuffer());

const plainCase = '32x32 PNG, plain';
const oddCase = '32x32 PNG, with a text chunk (sharp)';
const cases: readonly (readonly [string, Decode, readonly Uint8Array[]])[] = [
  ['32x32 PNG, naive sharp chain', naive(32, 32), smallPngs],
  [plainCase, decodeSmall, smallPngs],
  [oddCase, decodeSmall, oddPngs],
  ['32x32 JPEG', decodeSmall, smallJpegs],
  ['1000x800 JPEG -> 224, naive sharp chain', naive(224, 224), photos],
  ['1000x800 JPEG -> 224', decodeLarge, photos],
];

console.log(
  `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}, load ${loadavg()[0]?.toFixed(1)}`,
);
const table: Record<string, Record<string, string>> = {};
for (const [name, decode, images] of cases) {
  for (const atOnce of [1, 4]) table[`${name}, ${atOnce} at once`] = await measure(decode, images, atOnce);
}
console.table(table);

/** The shipped encoder's own cost, in batches of 16 on one thread. */
async function encoderMs(): Promise<number> {
  const dir = fileURLToPath(new URL('../models/cifar10-wide-int8', import.meta.url));
  const encoder = await loadEncoder(dir, { threads: 1 });
  const pixels = Buffer.concat(Array.from({ length: 16 }, (_, seed) => pixelsOf(32, 32, seed)));
  const embed = async (batches: number) => {
    for (let i = 0; i < batches; i++) await encoder.embed(pixels, 16);
  };
  await embed(5);
  const cpu = process.cpuUsage();
  await embed(50);
  const { user, system } = process.cpuUsage(cpu);
  await encoder.close();
  return (user + system) / 1000 / (50 * 16);
}

const costOf = (name: string) => Number(table[`${name}, 4 at once`]?.['core-ms per image']);
const [plain, odd, encode] = [costOf(plainCase), costOf(oddCase), await encoderMs()];
console.log(
  `the reader of plain PNGs saves ${(odd - plain).toFixed(3)} core-ms an image; the shipped encoder takes ${encode.toFixed(3)}, ` +
    `so images decoded and encoded a second are ${((odd + encode) / (plain + encode)).toFixed(2)} times as many with it`,
);
