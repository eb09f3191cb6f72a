import { NearvoteError } from '../domain/errors.js';

export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'gif' | 'avif' | 'tiff';

/** Magic bytes as latin-1, at `offset`: what the file says of itself, whatever its name says. */
interface Signature {
  readonly name: string;
  readonly magic: string;
  readonly offset?: number;
}

const jpegMagic = '\xff\xd8\xff';
const pngMagic = '\x89PNG\r\n\x1a\n';
const tiffMagics = ['II*\0', 'MM\0*', 'II+\0', 'MM\0+'];

/** Known well enough to be named in an error; none of them is ever decoded. */
const unsupported: readonly Signature[] = [
  { name: 'PDF', magic: '%PDF' },
  { name: 'BMP', magic: 'BM' },
  { name: 'PSD', magic: '8BPS' },
  { name: 'ICO', magic: '\0\0\x01\0' },
  { name: 'JPEG XL', magic: '\xff\x0a' },
  { name: 'JPEG XL', magic: '\0\0\0\x0cJXL ' },
  { name: 'JPEG 2000', magic: '\0\0\0\x0cjP  ' },
  { name: 'JPEG 2000', magic: '\xff\x4f\xff\x51' },
  { name: 'OpenEXR', magic: '\x76\x2f\x31\x01' },
  { name: 'ZIP', magic: 'PK\x03\x04' },
  { name: 'gzip', magic: '\x1f\x8b' },
  { name: 'MP4', magic: 'ftyp', offset: 4 },
];

const avifBrands = new Set(['avif', 'avis']);
const heicBrands = new Set(['heic', 'heix', 'hevc', 'hevx', 'heim', 'heis', 'mif1', 'msf1']);

/**
 * Tells an image's format by its first bytes.
 * @throws NearvoteError `image_empty`; `image_unsupported` naming what came, before any decoder sees it
 */
export function requireFormat(bytes: Uint8Array): ImageFormat {
  if (bytes.length === 0) {
    throw new NearvoteError('image_empty', 'Expected an image but received an empty file');
  }
  // Enough for every signature, the brands of an AVIF and the start of an SVG.
  const start = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 512));
  const head = start.toString('latin1');
  if (head.startsWith(jpegMagic)) return 'jpeg';
  if (head.startsWith(pngMagic)) return 'png';
  if (head.startsWith('RIFF') && head.startsWith('WEBP', 8)) return 'webp';
  if (head.startsWith('GIF87a') || head.startsWith('GIF89a')) return 'gif';
  if (tiffMagics.some((magic) => head.startsWith(magic))) return 'tiff';
  const brands = isoBrands(head);
  if (brands.some((brand) => avifBrands.has(brand))) return 'avif';
  throw new NearvoteError(
    'image_unsupported',
    `Expected a JPEG, PNG, WebP, GIF, AVIF or TIFF image but received ${nameUnsupported(start, head, brands)}`,
  );
}

/** Major brand, then the compatible ones, of an ISO base media file (ISO/IEC 14496-12); empty for anything else. */
function isoBrands(head: string): readonly string[] {
  if (!head.startsWith('ftyp', 4)) return [];
  const boxEnd = Math.min(head.charCodeAt(2) * 256 + head.charCodeAt(3), head.length);
  const brands = [head.slice(8, 12)];
  for (let at = 16; at + 4 <= boxEnd; at += 4) brands.push(head.slice(at, at + 4));
  return brands;
}

/** Tab, line feed, form feed, carriage return. */
const textControls = new Set([0x09, 0x0a, 0x0c, 0x0d]);

function nameUnsupported(start: Uint8Array, head: string, brands: readonly string[]): string {
  if (brands.some((brand) => heicBrands.has(brand))) return 'HEIC';
  const known = unsupported.find(({ magic, offset }) => head.startsWith(magic, offset ?? 0));
  if (known !== undefined) return known.name;
  const text = head.replace(/^\xef\xbb\xbf/, '').trimStart();
  if (/^<(\?xml[^]*<svg|!doctype svg|svg|!--[^]*<svg)/i.test(text)) return 'SVG';
  if (/^<(!doctype html|html)/i.test(text)) return 'HTML';
  if (text.startsWith('<?xml')) return 'XML';
  return start.every((byte) => byte >= 0x20 || textControls.has(byte)) ? 'text' : 'unknown bytes';
}

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
