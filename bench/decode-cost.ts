/*
 * What the budget of a decode says of heavy images against what decoding takes, each in a process of its own, and what
 * looking at headers costs where images are small: the figures of docs/decisions/008.  npx tsx bench/decode-cost.ts
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { markdownTable } from '../src/domain/markdown-table.js';
import { createDecoder } from '../src/image/decode.js';
import { costOf, costOfHeader, type DecodeCost } from '../src/image/decode-cost.js';
import { requireFormat } from '../src/image/format.js';
import { resizeTo } from '../src/image/geometry.js';
import { sharp } from '../src/image/sharp.js';
import { emptyPng, jpegOfManyScans, pngOfManyChunks } from '../test/attacks/hostile-images.js';
import { answerParent, startChild } from './child.js';
import { drawImages } from './drawn-images.js';
import { percentile } from './figures.js';
import { memoryOfTree } from './process-memory.js';
import { machine } from './report.js';

const target = { width: 224, height: 224 };
const geometry = resizeTo({ ...target, fit: 'cover', kernel: 'cubic' });
const measured = z.object({ bytes: z.number(), cpuMs: z.number() });

/** What one decode took, of a process that has done a small one before. */
async function decodeHere(file: unknown): Promise<z.infer<typeof measured>> {
  const decoder = createDecoder({ geometry, maxPixels: 1e9, maxDecodeBytes: 1e12 });
  const peak = (): number => memoryOfTree(process.pid)[0]?.peakRssBytes ?? NaN;
  for (const warm of await drawImages({ count: 3, ...target, formats: ['png', 'jpeg', 'webp'], seed: 1 })) {
    await decoder.decode(warm);
  }
  const bytes = await readFile((file as { readonly path: string }).path);
  const [before, cpu] = [peak(), process.cpuUsage()];
  await decoder.decode(bytes);
  const { user, system } = process.cpuUsage(cpu);
  return { bytes: peak() - before, cpuMs: (user + system) / 1000 };
}

/** A flat picture compresses to little and decodes to as much as any. */
const flat = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: { r: 90, g: 120, b: 60 } } });

const heavy: readonly (readonly [string, () => Promise<Buffer> | Buffer])[] = [
  ['JPEG, one scan, 36 MP', () => flat(6000, 6000).jpeg().toBuffer()],
  [
    'JPEG, progressive 4:4:4, 36 MP',
    () => flat(6000, 6000).jpeg({ progressive: true, chromaSubsampling: '4:4:4' }).toBuffer(),
  ],
  [
    'JPEG, 100 empty scans, 9 MP',
    () => jpegOfManyScans({ width: 3000, height: 3000, scans: 100, components: 3 }),
  ],
  ['PNG, 36 MP', () => flat(6000, 6000).png().toBuffer()],
  ['PNG, interlaced, 16 bits, 36 MP', () => emptyPng({ width: 6000, height: 6000, depth: 16, interlace: 1 })],
  ['PNG of 60,000 chunks', () => pngOfManyChunks(60_000)],
  ['WebP, lossless, 36 MP', () => flat(6000, 6000).webp({ effort: 0, lossless: true }).toBuffer()],
  ['GIF, 36 MP', () => flat(6000, 6000).gif({ effort: 1 }).toBuffer()],
  ['AVIF, 9 MP', () => flat(3000, 3000).avif({ effort: 0 }).toBuffer()],
  ['TIFF, deflated, 36 MP', () => flat(6000, 6000).tiff({ compression: 'deflate' }).toBuffer()],
];

async function predict(bytes: Buffer): Promise<DecodeCost> {
  const format = requireFormat(bytes);
  const known = costOf(format, bytes, target);
  return known ?? costOfHeader(format, await sharp(bytes, { limitInputPixels: false }).metadata());
}

async function heavyRows(folder: string): Promise<string[][]> {
  const rows: string[][] = [];
  for (const [name, draw] of heavy) {
    const bytes = await draw();
    const path = join(folder, 'image');
    await writeFile(path, bytes);
    const { bytes: predicted, samples } = await predict(bytes);
    const child = startChild('decode-cost.ts');
    const took = measured.parse(await child.ask({ path }));
    child.stop();
    rows.push([
      name,
      ...[bytes.length / 1e3, predicted / 1e6, took.bytes / 1e6, took.bytes / predicted].map((value) =>
        value.toPrecision(3),
      ),
      (samples / 1e6).toFixed(0),
      took.cpuMs.toFixed(0),
      ((1e6 * took.cpuMs) / samples).toFixed(1),
    ]);
  }
  return rows;
}

/** Core time of an image, four at once, which a busy machine changes less than images a second: with the look at their headers and the turns, and by sharp alone as the decoder calls it. */
async function costOfLooking(size: number, side: number): Promise<string[][]> {
  const images = await drawImages({
    count: 64,
    width: side,
    height: side,
    formats: ['jpeg', 'webp'],
    seed: 2,
  });
  const to = resizeTo({ width: size, height: size, fit: 'cover', kernel: 'cubic' });
  const decoder = createDecoder({ geometry: to });
  const ways = [
    (bytes: Buffer): Promise<Uint8Array> => decoder.decode(bytes),
    (bytes: Buffer): Promise<Uint8Array> =>
      sharp(bytes, { autoOrient: true, limitInputPixels: 5e7, failOn: 'error' })
        .resize({
          width: size,
          height: size,
          fit: 'cover',
          kernel: 'cubic',
          background: { r: 0, g: 0, b: 0 },
        })
        .flatten({ background: { r: 255, g: 255, b: 255 } })
        .raw()
        .toBuffer(),
  ];
  const coreMs: number[][] = [[], []];
  const count = size > 100 ? 150 : 1_500;
  // The first round warms up; the order turns from round to round.
  for (let round = 0; round < 7; round++) {
    for (const way of round % 2 === 0 ? [0, 1] : [1, 0]) {
      const cpu = process.cpuUsage();
      let next = 0;
      const lane = async (): Promise<void> => {
        while (next < count) await ways[way]?.(images[next++ % images.length] ?? Buffer.alloc(0));
      };
      await Promise.all(Array.from({ length: 4 }, lane));
      const { user, system } = process.cpuUsage(cpu);
      if (round > 0) coreMs[way]?.push((user + system) / 1000 / count);
    }
  }
  const [whole = NaN, bare = NaN] = coreMs.map((some) => percentile(some, 0.5));
  return [
    [
      `${side} px to ${size}`,
      bare.toFixed(2),
      whole.toFixed(2),
      `${(100 * (whole / bare - 1)).toFixed(1)} %`,
    ],
  ];
}

async function report(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'nearvote-decode-cost-'));
  try {
    console.log(`${machine()}\n`);
    const head = [
      'image',
      'file, KB',
      'predicted MB',
      'measured MB',
      'measured / predicted',
      'M samples',
      'CPU ms',
      'ns a sample',
    ];
    console.log(markdownTable(head, await heavyRows(folder)));
    const rows = [...(await costOfLooking(32, 32)), ...(await costOfLooking(224, 500))];
    console.log(
      `\n${markdownTable(['JPEG and WebP', 'sharp alone, core-ms an image', 'decoder, core-ms an image', 'cost'], rows)}`,
    );
  } finally {
    await rm(folder, { recursive: true });
  }
}

if (process.send === undefined) await report();
else answerParent(decodeHere);
