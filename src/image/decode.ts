import type { Cancellation } from '../domain/cancellation.js';
import { messageOf, NearvoteError } from '../domain/errors.js';
import type { ImageContent } from './dataset/dataset.js';
import { costOf, costOfHeader, tooCostly, type DecodeCost } from './decode-cost.js';
import { createDecodeTurns } from './decode-turns.js';
import { mayBeWhole, requireFormat, type ImageFormat } from './format.js';
import { outputSize, type Geometry, type Size } from './geometry.js';
import { decodePlainPng } from './plain-png.js';
import { sharp, type Sharp, type SharpInput, type SharpOptions } from './sharp.js';

export interface DecodeLimits {
  /** Of the encoded image, by its header; 50 million unless told. */
  readonly maxPixels?: number | undefined;
  /**
   * Of memory, by its header: an image that needs more is refused, and large ones that are decoded at once need no more
   * together. 300 MB unless told: a progressive JPEG of 50 megapixels without subsampling.
   */
  readonly maxDecodeBytes?: number | undefined;
}

export interface DecoderOptions extends DecodeLimits {
  readonly geometry: Geometry;
}

export interface Decoder {
  /**
   * An encoded image or raw pixels to uint8 sRGB `[height, width, 3]`: the first frame, upright, alpha over white. The
   * same bytes give the same pixels, whoever asks. The bytes must not change until it is done. Some are decoded at
   * once, the rest wait; an aborted one is not begun.
   * @throws NearvoteError `image_empty`, `image_unsupported`, `image_damaged`, `image_too_many_pixels`, `image_too_costly`,
   * or the reason of `signal`
   */
  decode(content: ImageContent | Uint8Array, signal?: Cancellation): Promise<Uint8Array>;
}

/** Of this process, whichever decoder they are for. */
const turns = createDecodeTurns();

/** A JPEG of 50 megapixels in the usual ten scans goes through 14 samples a pixel where it is not subsampled. */
const mostSamplesAPixel = 20;

/** In pixels: libvips makes nothing smaller by more than a million times, nor goes through coordinates beyond 100 million. */
const longestSide = 1_000_000;

const white = { r: 255, g: 255, b: 255 };
const black = { r: 0, g: 0, b: 0 };

const formatNames = {
  jpeg: 'JPEG',
  png: 'PNG',
  webp: 'WebP',
  gif: 'GIF',
  avif: 'AVIF',
  tiff: 'TIFF',
} as const;

/** Makes the one decoder that build, evaluate and the server share. */
export function createDecoder(options: DecoderOptions): Decoder {
  const { geometry, maxPixels = 50_000_000, maxDecodeBytes = 300_000_000 } = options;
  const { width, height } = outputSize(geometry);
  const opening: SharpOptions = {
    autoOrient: true,
    limitInputPixels: maxPixels,
    // `truncated` lets a cut-off TIFF pass, `warning` refuses JPEGs that every viewer shows.
    failOn: 'error',
  };

  const fitted = async (input: SharpInput, more?: SharpOptions): Promise<Sharp> => {
    const image = sharp(input, { ...opening, ...more });
    if (geometry.resize !== 'none') return resized(image, geometry);
    const { autoOrient } = await image.metadata();
    return middleOf(image, { from: autoOrient, size: { width, height } });
  };

  async function decodeFile(bytes: Uint8Array, signal: Cancellation | undefined): Promise<Uint8Array> {
    const format = requireFormat(bytes);
    if (format === 'png' && keeps(geometry, { width, height })) {
      const pixels = decodePlainPng(bytes, { width, height });
      if (pixels !== undefined) return pixels;
    }
    try {
      const { cost, profiled16Bit } = await inspect(format, bytes, signal);
      return await turns.run({ cost, maxBytes: maxDecodeBytes }, async () => {
        signal?.throwIfAborted();
        return profiled16Bit
          ? decodeProfiled16Bit(bytes)
          : toPixels((await fitted(bytes)).flatten({ background: white }));
      });
    } catch (error) {
      throw asImageError(error, format, maxPixels);
    }
  }

  /** What the decode will take, by the file's own header or, where that is not enough, by what libvips says of it. */
  async function inspect(format: ImageFormat, bytes: Uint8Array, signal: Cancellation | undefined) {
    const known = costOf(format, bytes, resizedSize(geometry));
    if (known !== undefined) requireAllowed(format, known);
    if (!mayBeWhole(format, bytes)) throw damaged(format);
    if (known !== undefined && !mayHold16Bits(format, bytes)) return { cost: known, profiled16Bit: false };
    const header = await turns.look(() => {
      signal?.throwIfAborted();
      return sharp(bytes, opening).metadata();
    });
    const cost = known ?? costOfHeader(format, header);
    requireAllowed(format, cost);
    return { cost, profiled16Bit: header.space === 'rgb16' && header.hasProfile };
  }

  function requireAllowed(format: ImageFormat, cost: DecodeCost): void {
    if (cost.width * cost.height > maxPixels) throw tooManyPixels(format, maxPixels);
    if (Math.max(cost.width, cost.height) > longestSide) throw tooLong(format);
    if (cost.bytes > maxDecodeBytes) {
      throw tooCostly(`a ${formatNames[format]} that is decoded in at most ${maxDecodeBytes} bytes`);
    }
    if (cost.samples > mostSamplesAPixel * maxPixels) {
      throw tooCostly(
        `a ${formatNames[format]} whose scans have at most ${mostSamplesAPixel * maxPixels} samples`,
      );
    }
  }

  /**
   * sharp 0.35 turns 16-bit RGB with a profile into Display P3 and hands that out as sRGB, so its colours pale: here
   * the P3 is turned into sRGB, still 16 bits deep, before alpha and depth are dropped.
   */
  async function decodeProfiled16Bit(bytes: Uint8Array): Promise<Uint8Array> {
    const { data, info } = await (
      await fitted(bytes)
    )
      .toColourspace('rgb16')
      .withIccProfile('srgb')
      .raw({ depth: 'ushort' })
      .toBuffer({ resolveWithObject: true });
    const samples = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
    const raw = { width: info.width, height: info.height, channels: info.channels };
    return toPixels(sharp(samples, { raw }).flatten({ background: white }));
  }

  async function toPixels(image: Sharp): Promise<Uint8Array> {
    const data = await image.raw().toBuffer();
    if (data.length !== width * height * 3) {
      throw new NearvoteError(
        'image_unsupported',
        'Expected an image of colours or greys but received other bands',
      );
    }
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }

  async function decodePixels(content: Extract<ImageContent, { kind: 'pixels' }>): Promise<Uint8Array> {
    const { pixels } = content;
    if (pixels.length !== content.width * content.height * 3 || pixels.length === 0) {
      throw new NearvoteError(
        'image_damaged',
        `Expected ${content.width} x ${content.height} RGB pixels but received ${pixels.length} bytes`,
      );
    }
    if (keeps(geometry, content)) return new Uint8Array(pixels);
    return toPixels(
      await fitted(pixels, { raw: { width: content.width, height: content.height, channels: 3 } }),
    );
  }

  return {
    async decode(content, signal) {
      if (content instanceof Uint8Array) return decodeFile(content, signal);
      return content.kind === 'file' ? decodeFile(content.bytes, signal) : decodePixels(content);
    },
  };
}

/** Where the size is right already libvips adds no resize stage. */
function resized(image: Sharp, { resize, crop, fit, kernel }: Geometry): Sharp {
  if (resize === 'none') return image;
  const { width, height, ...rest } =
    'width' in resize
      ? { ...resize, fit: fit ?? 'fill' }
      : // The middle of a picture is the middle of its middle square, so a long one is never enlarged whole.
        { width: resize.shortestEdge, height: resize.shortestEdge, fit: 'cover' as const };
  const whole = image.resize({ width, height, ...rest, kernel, background: black });
  return crop === undefined ? whole : middleOf(whole, { from: { width, height }, size: crop });
}

/** What an image is resized to, or larger; it decides how much smaller a JPEG may be decoded. */
function resizedSize({ resize }: Geometry): Size {
  if (resize === 'none') return { width: Infinity, height: Infinity };
  return 'width' in resize ? resize : { width: resize.shortestEdge, height: resize.shortestEdge };
}

/** The middle of an image of size `from`; where that has too little, black about it. */
function middleOf(image: Sharp, { from, size }: { readonly from: Size; readonly size: Size }): Sharp {
  const [x, y] = [span(from.width, size.width), span(from.height, size.height)];
  return image
    .extract({ left: x.start, top: y.start, width: x.kept, height: y.kept })
    .extend({ left: x.before, right: x.after, top: y.before, bottom: y.after, background: black });
}

/** Which part of `length` is kept so that `wanted` are left, and how many are added before and after it. */
function span(length: number, wanted: number) {
  const kept = Math.min(length, wanted);
  const before = Math.floor((wanted - kept) / 2);
  return { start: Math.round((length - kept) / 2), kept, before, after: wanted - kept - before };
}

/** Whether an image of this size keeps its pixels. */
function keeps(geometry: Geometry, { width, height }: Size): boolean {
  const { resize } = geometry;
  const same = (size: Size) => size.width === width && size.height === height;
  if (!same(outputSize(geometry))) return false;
  if (resize === 'none') return true;
  return 'width' in resize ? same(resize) : Math.min(width, height) === resize.shortestEdge;
}

/** Cheap and never wrong with a no: only these formats go beyond 8 bits, and a PNG says so in its header. */
function mayHold16Bits(format: ImageFormat, bytes: Uint8Array): boolean {
  return format === 'tiff' || format === 'avif' || (format === 'png' && bytes[24] === 16);
}

/** libvips speaks of its operations and of file offsets: none of that is for a client, so it stays in `cause`. */
function asImageError(error: unknown, format: ImageFormat, maxPixels: number): NearvoteError {
  if (error instanceof NearvoteError) return error;
  const text = messageOf(error);
  if (/pixel limit|security limit|too large|too big|dimensions? exceed/i.test(text)) {
    return tooManyPixels(format, maxPixels, { cause: error });
  }
  if (/coordinates out of range/i.test(text)) return tooLong(format, { cause: error });
  if (/channel limit/i.test(text)) {
    return new NearvoteError(
      'image_unsupported',
      `Expected an image of colours or greys but received another kind of ${formatNames[format]}`,
      { cause: error },
    );
  }
  return damaged(format, { cause: error });
}

function tooManyPixels(format: ImageFormat, maxPixels: number, options?: ErrorOptions): NearvoteError {
  return new NearvoteError(
    'image_too_many_pixels',
    `Expected an image of at most ${maxPixels} pixels but received a larger ${formatNames[format]}`,
    options,
  );
}

function tooLong(format: ImageFormat, options?: ErrorOptions): NearvoteError {
  return new NearvoteError(
    'image_unsupported',
    `Expected an image that can be resized but received a ${formatNames[format]} that is too long and thin`,
    options,
  );
}

function damaged(format: ImageFormat, options?: ErrorOptions): NearvoteError {
  return new NearvoteError(
    'image_damaged',
    `Expected a whole ${formatNames[format]} image but received one that is truncated or corrupt`,
    options,
  );
}
