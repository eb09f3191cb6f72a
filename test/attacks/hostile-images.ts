import { deflateSync } from 'node:zlib';
import { pngChunk, pngFile, pngHeader, type Header } from '../image/png-by-hand.js';

/** A JPEG marker segment: marker, length, body (ITU T.81, B.1.1). */
export function jpegSegment(marker: number, ...body: readonly number[]): Buffer {
  const length = body.length + 2;
  return Buffer.from([0xff, marker, length >> 8, length & 255, ...body]);
}

export interface ManyScans {
  readonly width: number;
  readonly height: number;
  readonly scans: number;
  /** 1 is grey, 3 is colour without subsampling. */
  readonly components?: number;
  readonly kind?: 'progressive' | 'sequential';
}

/**
 * A progressive JPEG of so many scans over every block, each of a few bytes: the first says that every DC coefficient
 * is 0, every other that the blocks end at once, 32,767 of them in each two bytes (ITU T.81, G.1.2.2). A sequential one
 * goes over one colour a scan, each block in two bits.
 */
export function jpegOfManyScans(options: ManyScans): Buffer {
  const { width, height, scans, components = 1, kind = 'progressive' } = options;
  const progressive = kind === 'progressive';
  const ids = Array.from({ length: components }, (_, i) => i + 1);
  const blocks = Math.ceil(width / 8) * Math.ceil(height / 8);
  const quantisation = jpegSegment(0xdb, 0, ...Array.from({ length: 64 }, () => 1));
  const start = jpegSegment(
    progressive ? 0xc2 : 0xc0,
    ...[8, height >> 8, height & 255, width >> 8, width & 255, components],
    ...ids.flatMap((id) => [id, 0x11, 0]),
  );
  // One code of one bit in each table: DC difference 0, and an end of band that runs over 2^14 blocks and more.
  const oneCode = (kind: number, symbol: number) =>
    jpegSegment(0xc4, kind, 1, ...Array<number>(15).fill(0), symbol);
  const zeros = (bits: number) => Buffer.alloc(Math.ceil(bits / 8));
  const first = [
    jpegSegment(0xda, components, ...ids.flatMap((id) => [id, 0]), 0, 0, 0),
    zeros(blocks * components),
  ];
  const runs = progressive ? endOfBandRuns(blocks) : zeros(2 * blocks);
  const band = progressive ? [1, 63, 0] : [0, 63, 0];
  const next = (i: number) => [jpegSegment(0xda, 1, ids[i % components] ?? 1, 0, ...band), runs];
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    quantisation,
    start,
    oneCode(0x00, 0),
    oneCode(0x10, progressive ? 0xe0 : 0),
    ...(progressive ? first : []),
    ...Array.from({ length: progressive ? scans - 1 : scans }, (_, i) => next(i)).flat(),
    Buffer.from([0xff, 0xd9]),
  ]);
}

/** Bit 0 names the run, 14 bits say how far it goes beyond 2^14. No byte of it is 0xff, which would need stuffing. */
function endOfBandRuns(blocks: number): Buffer {
  let bits = '';
  for (let left = blocks; left > 0;) {
    const run = Math.min(Math.max(left, 16_384), 32_000);
    bits += `0${(run - 16_384).toString(2).padStart(14, '0')}`;
    left -= run;
  }
  const bytes = bits.match(/.{1,8}/g) ?? [];
  return Buffer.from(bytes.map((byte) => parseInt(byte.padEnd(8, '0'), 2)));
}

/** A PNG of one colour that says it is interlaced, with rows of zeros behind it: a hundredth of its size. */
export function emptyPng(header: Header): Buffer {
  const { width, height, depth = 8, colourType = 2 } = header;
  const channels = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }[colourType] ?? 1;
  const bytes = (height + 16) * (1 + Math.ceil((width * channels * depth) / 8) + 8);
  // Rows of an interlaced picture are shorter but their bytes are zero too, so any amount that is enough will do.
  return pngFile(
    pngHeader(header),
    pngChunk('IDAT', deflateSync(Buffer.alloc(bytes), { level: 1 })),
    pngChunk('IEND'),
  );
}

/** A whole PNG whose image data is followed by so many chunks that hold nothing. */
export function pngOfManyChunks(count: number): Buffer {
  const empty = pngChunk('IDAT');
  return pngFile(
    pngHeader({ width: 8, height: 8 }),
    pngChunk('IDAT', deflateSync(Buffer.alloc(8 * 25))),
    Buffer.concat(Array.from({ length: count }, () => empty)),
    pngChunk('IEND'),
  );
}
