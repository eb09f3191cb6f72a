import zlib from 'node:zlib';

/** More than this is left to sharp, whose threads keep it off the event loop. */
const maxPixels = 64 * 64;

const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** Chunks that say nothing of a pixel's value; any other (colour profile, orientation, transparency) goes to sharp. */
const harmlessChunks = new Set(['pHYs', 'tIME', 'sRGB', 'gAMA', 'cHRM']);

/** Image data in more pieces than this is left to sharp: looking at each of them takes the event loop's time. */
const mostParts = 64;

/** The CRC came with Node 20.15; without it nothing is decoded here. */
const crc32: typeof zlib.crc32 | undefined = zlib.crc32;

/**
 * Decodes the plainest PNG there is (8-bit RGB, not interlaced, already `width` x `height`, at most 64 x 64) to uint8
 * RGB `[height, width, 3]`, the very pixels sharp gives, at a twelfth of its cost (bench/decode.ts). Undefined for
 * every other file and for the least flaw: then sharp decides. PNG is lossless, so there is one right answer:
 * https://www.w3.org/TR/png-3/
 */
export function decodePlainPng(
  bytes: Uint8Array,
  { width, height }: { readonly width: number; readonly height: number },
): Uint8Array | undefined {
  if (crc32 === undefined || width * height > maxPixels) return undefined;
  const data = plainImageData(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), width, height);
  if (data === undefined) return undefined;
  const size = height * (1 + width * 3);
  let filtered: Uint8Array;
  try {
    // One byte of room more than is right, so that a stream that holds more is seen.
    filtered = zlib.inflateSync(data, { chunkSize: Math.max(64, size + 1), maxOutputLength: size + 1 });
  } catch {
    return undefined;
  }
  return filtered.length === size ? unfilter(filtered, width, height) : undefined;
}

/** The same of whichever size its header says, at most as many pixels. */
export function decodeAnyPlainPng(
  bytes: Uint8Array,
): { readonly pixels: Uint8Array; readonly width: number; readonly height: number } | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (buffer.length < 33 || !buffer.subarray(0, 8).equals(signature)) return undefined;
  const size = { width: buffer.readUInt32BE(16), height: buffer.readUInt32BE(20) };
  const pixels = size.width > 0 && size.height > 0 ? decodePlainPng(bytes, size) : undefined;
  return pixels && { pixels, ...size };
}

/** The zlib stream of a plain PNG whose every CRC is right, or undefined. */
function plainImageData(buffer: Buffer, width: number, height: number): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  for (let at = 8; at + 12 <= buffer.length && parts.length <= mostParts;) {
    const length = buffer.readUInt32BE(at);
    const type = buffer.toString('latin1', at + 4, at + 8);
    const end = at + 8 + length;
    if (end + 4 > buffer.length) return undefined;
    if (crc32?.(buffer.subarray(at + 4, end)) !== buffer.readUInt32BE(end)) return undefined;
    if (at === 8) {
      if (type !== 'IHDR' || !isPlainHeader(buffer, width, height)) return undefined;
    } else if (type === 'IDAT') parts.push(buffer.subarray(at + 8, end));
    else if (type === 'IEND') return parts.length === 1 ? parts[0] : Buffer.concat(parts);
    else if (!harmlessChunks.has(type) || parts.length > 0) return undefined;
    at = end + 4;
  }
  return undefined;
}

/** 8 bits, colour type 2 (RGB), the one compression and filter method, not interlaced. */
function isPlainHeader(buffer: Buffer, width: number, height: number): boolean {
  return (
    buffer.length >= 33 &&
    buffer.readUInt32BE(8) === 13 &&
    buffer.readUInt32BE(16) === width &&
    buffer.readUInt32BE(20) === height &&
    buffer.readUInt32BE(24) === 0x08020000 &&
    buffer[28] === 0
  );
}

/** Undoes the filter of each row; `filtered` is `[height, 1 + width * 3]`, the byte before a row naming its filter. */
function unfilter(filtered: Uint8Array, width: number, height: number): Uint8Array | undefined {
  const rowBytes = width * 3;
  const pixels = new Uint8Array(height * rowBytes);
  for (let y = 0; y < height; y++) {
    const from = y * (rowBytes + 1);
    const filter = filtered[from] ?? 5;
    if (filter > 4) return undefined;
    const to = y * rowBytes;
    for (let i = 0; i < rowBytes; i++) {
      const left = i < 3 ? 0 : (pixels[to + i - 3] ?? 0);
      const up = y === 0 ? 0 : (pixels[to + i - rowBytes] ?? 0);
      let predicted = 0;
      if (filter === 1) predicted = left;
      else if (filter === 2) predicted = up;
      else if (filter === 3) predicted = (left + up) >> 1;
      else if (filter === 4) {
        const upLeft = i < 3 || y === 0 ? 0 : (pixels[to + i - rowBytes - 3] ?? 0);
        predicted = paeth(left, up, upLeft);
      }
      pixels[to + i] = (filtered[from + 1 + i] ?? 0) + predicted; // modulo 256 by its type
    }
  }
  return pixels;
}

/** Whichever neighbour is nearest to left + up - upLeft; ties go left, then up (PNG, 9.4). */
function paeth(left: number, up: number, upLeft: number): number {
  const byLeft = Math.abs(up - upLeft);
  const byUp = Math.abs(left - upLeft);
  const byUpLeft = Math.abs(left + up - 2 * upLeft);
  if (byLeft <= byUp && byLeft <= byUpLeft) return left;
  return byUp <= byUpLeft ? up : upLeft;
}
