import { NearvoteError } from '../domain/errors.js';
import type { ImageFormat } from './format.js';
import { shrinkBefore, type Size } from './geometry.js';

/** What a decode takes at most, told from the header before anything is decoded: docs/decisions/008. */
export interface DecodeCost extends Size {
  /** Of memory at the worst moment. */
  readonly bytes: number;
  /** Samples that are gone through, once for each scan. */
  readonly samples: number;
}

/** Nearly every decode of libvips holds a few rows and the tables of a format. */
const leastBytes = 1_000_000;

const cost = ({ width, height }: Size, bytesAPixel: number): DecodeCost => ({
  width,
  height,
  bytes: leastBytes + width * height * bytesAPixel,
  samples: width * height * 4,
});

/** What it takes until it is resampled to `target`: the pixels that are decoded are held whole, alpha included. */
export function heldFor(target: Size, decode: DecodeCost): DecodeCost {
  const { width, height, bytes } = decode;
  return { ...decode, bytes: bytes + (4 * width * height) / shrinkBefore({ width, height }, target) ** 2 };
}

/** The bytes of a pixel while it is decoded, where the header says no more; measured, and rounded up. */
const gifBytes = 6;
const webpBytes = 9;
const avifBytes = 20;

/**
 * The cost of a JPEG, PNG or WebP; undefined where the header is not there, which the decoder will say, and for the
 * formats whose header libvips has to read.
 * @throws NearvoteError `image_too_costly` where the header itself has too many parts
 */
export function costOf(format: ImageFormat, bytes: Uint8Array, target: Size): DecodeCost | undefined {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (format === 'jpeg') return jpegCost(buffer, target);
  if (format === 'png') return pngCost(buffer);
  if (format !== 'webp') return undefined;
  const size = webpSize(buffer);
  return size && cost(size, webpBytes);
}

/** What libvips says of a header that is read by it alone. */
export interface LibvipsHeader extends Size {
  readonly channels: number;
  readonly depth: string;
}

const depthBytes: Readonly<Record<string, number>> = {
  uchar: 1,
  char: 1,
  ushort: 2,
  short: 2,
  double: 8,
  dpcomplex: 16,
};

export function costOfHeader(
  format: ImageFormat,
  { width, height, channels, depth }: LibvipsHeader,
): DecodeCost {
  if (format === 'avif') return cost({ width, height }, avifBytes);
  if (format === 'gif') return cost({ width, height }, gifBytes);
  return cost({ width, height }, 1.25 * channels * (depthBytes[depth] ?? 4));
}

/** A JPEG has a few dozen segments before its first scan; an ICC profile of 10 MB is 160. */
const mostSegments = 4096;
/** A table is built for each scan, however few blocks it goes over. */
const samplesOfAScan = 65_536;
const startOfScan = Buffer.from([0xff, 0xda]);

interface Component {
  readonly id: number;
  readonly samples: number;
}

interface Frame extends Size {
  readonly progressive: boolean;
  readonly components: readonly Component[];
}

function jpegCost(buffer: Buffer, target: Size): DecodeCost | undefined {
  let frame: Frame | undefined;
  let at = 2;
  for (let segments = 0; segments < mostSegments; segments++) {
    // As libjpeg does: whatever is no marker is stepped over, and so are fill bytes.
    at = buffer.indexOf(0xff, at);
    if (at < 0 || at + 4 > buffer.length) return undefined;
    const marker = buffer[at + 1] ?? 0;
    if (marker === 0xff) at += 1;
    else if (marker === 0 || marker === 1 || (marker >= 0xd0 && marker <= 0xd9)) at += 2;
    else if (marker === 0xda) return frame && scannedCost(buffer, { at, frame, target });
    else {
      if (isStartOfFrame(marker)) frame ??= readFrame(buffer, at, marker);
      at += 2 + buffer.readUInt16BE(at + 2);
    }
  }
  throw tooCostly(`a JPEG of at most ${mostSegments} segments before its first scan`);
}

/** 0xc4, 0xc8 and 0xcc lie among them but are tables and an extension (ITU T.81, table B.1). */
const isStartOfFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;

function readFrame(buffer: Buffer, at: number, marker: number): Frame | undefined {
  const count = buffer[at + 9] ?? 0;
  if (count === 0 || at + 10 + 3 * count > buffer.length) return undefined;
  const [height, width] = [buffer.readUInt16BE(at + 5), buffer.readUInt16BE(at + 7)];
  const found = Array.from({ length: count }, (_, i) => {
    const factors = buffer[at + 11 + 3 * i] ?? 0;
    return { id: buffer[at + 10 + 3 * i] ?? 0, across: factors >> 4, down: factors & 15 };
  });
  const [across, down] = [
    Math.max(...found.map((one) => one.across)),
    Math.max(...found.map((one) => one.down)),
  ];
  const blocks = (side: number, share: number) => Math.ceil((side * share) / 8) + 2;
  return {
    width,
    height,
    // 2, 6, 10 and 14 among the starts of frame; the others are sequential.
    progressive: (marker & 3) === 2,
    components: found.map((one) => ({
      id: one.id,
      samples: 64 * blocks(width, one.across / across) * blocks(height, one.down / down),
    })),
  };
}

interface FirstScan {
  readonly at: number;
  readonly frame: Frame;
  readonly target: Size;
}

/** An image that comes in one scan is decoded row by row; otherwise every coefficient is held until the last scan. */
function scannedCost(buffer: Buffer, { at, frame, target }: FirstScan): DecodeCost {
  const { width, height, components, progressive } = frame;
  const all = components.reduce((sum, { samples }) => sum + samples, 0);
  if (!progressive && buffer[at + 4] === components.length) {
    // libjpeg gives it smaller by 2, 4 or 8.
    const shrink = Math.min(8, shrinkBefore({ width, height }, target));
    return { width, height, bytes: leastBytes + (width * height * 4) / shrink ** 2, samples: all };
  }
  const byId = new Map(components.map(({ id, samples }) => [id, samples]));
  let samples = 0;
  // Coded data cannot hold these two bytes, so no scan is missed. Past a limit that no caller has, it is enough.
  for (let scan = at; scan >= 0 && samples < 1e11; scan = buffer.indexOf(startOfScan, scan + 2)) {
    const count = buffer[scan + 4] ?? 0;
    let own = 0;
    for (let i = 0; i < Math.min(count, 4); i++) own += byId.get(buffer[scan + 5 + 2 * i] ?? -1) ?? all;
    samples += samplesOfAScan + Math.min(own, all);
  }
  // Two bytes for each coefficient, and the picture that comes of them.
  return { width, height, bytes: leastBytes + 2 * all + width * height, samples };
}

/** One of 10 MB in the usual pieces of 8 KB has 1,200. */
const mostChunks = 65_536;
const pngChannels: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 3, 4: 2, 6: 4 };

function pngCost(buffer: Buffer): DecodeCost | undefined {
  if (buffer.length < 33 || buffer.toString('latin1', 12, 16) !== 'IHDR') return undefined;
  let chunks = 0;
  for (let at = 8; at + 12 <= buffer.length; at += 12 + buffer.readUInt32BE(at)) {
    if (++chunks > mostChunks) throw tooCostly(`a PNG of at most ${mostChunks} chunks`);
  }
  const size = { width: buffer.readUInt32BE(16), height: buffer.readUInt32BE(20) };
  const [depth = 8, colourType = 6] = [buffer[24], buffer[25]];
  return cost(size, 1.25 * (pngChannels[colourType] ?? 4) * (depth === 16 ? 2 : 1));
}

/** Of the canvas, or of the only frame (https://developers.google.com/speed/webp/docs/riff_container). */
function webpSize(buffer: Buffer): Size | undefined {
  if (buffer.length < 30) return undefined;
  const kind = buffer.toString('latin1', 12, 16);
  if (kind === 'VP8X') return { width: 1 + buffer.readUIntLE(24, 3), height: 1 + buffer.readUIntLE(27, 3) };
  if (kind === 'VP8L' && buffer[20] === 0x2f) {
    const bits = buffer.readUInt32LE(21);
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff) };
  }
  // The start code of a key frame.
  if (kind !== 'VP8 ' || buffer.readUIntBE(23, 3) !== 0x9d012a) return undefined;
  return { width: buffer.readUInt16LE(26) & 0x3fff, height: buffer.readUInt16LE(28) & 0x3fff };
}

export function tooCostly(expected: string): NearvoteError {
  return new NearvoteError('image_too_costly', `Expected ${expected} but received one that takes more`);
}
