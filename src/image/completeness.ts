import type { ImageFormat } from './format.js';

/**
 * False where a JPEG or PNG certainly ends before its image does. The decoder stops reading below a crop, so a file
 * cut off there would pass it; the other formats are read whole before their first pixel and need no look here.
 */
export function mayBeWhole(format: ImageFormat, bytes: Uint8Array): boolean {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (format === 'png') return hasPngEnd(buffer);
  if (format === 'jpeg') return hasJpegEnd(buffer);
  return true;
}

const endChunk = Buffer.from('IEND');

/** Walks the chunks (length, type, data, CRC) to a whole IEND. */
function hasPngEnd(buffer: Buffer): boolean {
  for (let at = 8; at + 12 <= buffer.length; at += 12 + buffer.readUInt32BE(at)) {
    if (buffer.compare(endChunk, 0, 4, at + 4, at + 8) === 0) return true;
  }
  return false;
}

const startOfScan = 0xda;
const endOfImage = Buffer.from([0xff, 0xd9]);

/** Whether an end-of-image marker follows the first scan; scan data cannot hold one, its 0xff bytes are stuffed. */
function hasJpegEnd(buffer: Buffer): boolean {
  let at = 2;
  // A thumbnail has its own end marker, so the segments before the scan (where EXIF lies) are stepped over.
  while (at + 4 <= buffer.length) {
    if (buffer[at] !== 0xff) return true; // odd: the decoder decides
    const marker = buffer[at + 1];
    if (marker === 0xff) {
      at += 1; // fill byte
      continue;
    }
    if (marker === startOfScan) return buffer.lastIndexOf(endOfImage) > at;
    at += 2 + buffer.readUInt16BE(at + 2);
  }
  return false;
}
