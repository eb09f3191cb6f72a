import { crc32 } from 'node:zlib';

/** A stretch of a file: from, to (not included). */
export type Span = readonly [number, number];

/** Where a width or height is written, and how. */
export interface DimensionField {
  readonly at: number;
  readonly bytes: 2 | 4;
  readonly littleEndian: boolean;
}

const isPng = (file: Buffer): boolean => file.toString('latin1', 1, 4) === 'PNG';
const isRiff = (file: Buffer): boolean => file.toString('latin1', 0, 4) === 'RIFF';
const isJpeg = (file: Buffer): boolean => file[0] === 0xff && file[1] === 0xd8;

/** The chunks of a PNG or WebP and the segments of a JPEG before its scan, whole; none of other formats. */
export function chunksOf(file: Buffer): readonly Span[] {
  if (isPng(file)) return walk(file, 8, (at) => 12 + file.readUInt32BE(at));
  if (isRiff(file)) return walk(file, 12, (at) => 8 + file.readUInt32LE(at + 4));
  if (isJpeg(file)) return walk(file, 2, (at) => 2 + file.readUInt16BE(at + 2));
  return [];
}

function walk(file: Buffer, start: number, lengthAt: (at: number) => number): readonly Span[] {
  const spans: Span[] = [];
  for (let at = start; at + 8 <= file.length;) {
    const end = at + lengthAt(at);
    if (end > file.length) break;
    spans.push([at, end]);
    at = end;
  }
  return spans;
}

/** Every place where the format keeps a width or a height, as far as it is easily found. */
export function dimensionFields(file: Buffer): readonly DimensionField[] {
  if (isPng(file)) return fields([16, 20], 4, false);
  if (isJpeg(file)) {
    const frame = chunksOf(file).find(([at]) => [0xc0, 0xc1, 0xc2].includes(file[at + 1] ?? 0));
    return frame === undefined ? [] : fields([frame[0] + 5, frame[0] + 7], 2, false);
  }
  if (isRiff(file)) return fields(file.toString('latin1', 12, 16) === 'VP8 ' ? [26, 28] : [21, 24], 2, true);
  if (file.toString('latin1', 0, 3) === 'GIF') {
    const image = file.indexOf(0x2c, 13 + 3 * 256);
    return fields([6, 8, ...(image > 0 ? [image + 5, image + 7] : [])], 2, true);
  }
  const extents = file.indexOf('ispe');
  if (extents > 0) return fields([extents + 8, extents + 12], 4, false);
  return tiffSizes(file);
}

function fields(at: readonly number[], bytes: 2 | 4, littleEndian: boolean): readonly DimensionField[] {
  return at.map((offset) => ({ at: offset, bytes, littleEndian }));
}

/** Tags 256 and 257 of a little-endian classic TIFF's first directory, and 322 to 325 of its tiles. */
function tiffSizes(file: Buffer): readonly DimensionField[] {
  if (file.toString('latin1', 0, 4) !== 'II*\0' || file.length < 8) return [];
  const directory = file.readUInt32LE(4);
  if (directory + 2 > file.length) return [];
  const entries = Array.from({ length: file.readUInt16LE(directory) }, (_, i) => directory + 2 + i * 12);
  const sizes = entries.filter((at) => at + 12 <= file.length && sizeTags.has(file.readUInt16LE(at)));
  return fields(
    sizes.map((at) => at + 8),
    4,
    true,
  );
}

/** Width, height, rows per strip, tile width, tile height. */
const sizeTags = new Set([256, 257, 278, 322, 323]);

/** Writes right checksums and sizes over wrong ones, so that damage gets past the container to the decoder. */
export function mendContainer(file: Buffer): Buffer {
  const mended = Buffer.from(file);
  if (isPng(mended)) {
    for (const [from, to] of chunksOf(mended)) {
      mended.writeUInt32BE(crc32(mended.subarray(from + 4, to - 4)), to - 4);
    }
  } else if (isRiff(mended) && mended.length >= 8) mended.writeUInt32LE(mended.length - 8, 4);
  return mended;
}
