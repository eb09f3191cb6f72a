import { availableParallelism } from 'node:os';
import pLimit from 'p-limit';
import type { Cancellation } from '../domain/cancellation.js';
import { NearvoteError } from '../domain/errors.js';
import { mayBeWhole } from './completeness.js';
import type { ImageContent } from './dataset/dataset.js';
import { requireFormat } from './format.js';
import type { ImageFormat } from './format.js';
import { outputSize, type Geometry, type Size } from './geometry.js';
import { decodePlainPng } from './plain-png.js';
import { sharp, type Sharp, type SharpInput, type SharpOptions } from './sharp.js';

export interface DecoderOptions {
  readonly geometry: Geometry;
  /** Of the encoded image, by its header; 50 million unless told. */
  readonly maxPixels?: number | undefined;
}

export interface Decoder {
  /**
   * An encoded image or raw pixels to uint8 sRGB `[height, width, 3]`: the first frame, upright, alpha over white. The
   * same bytes give the same pixels, whoever asks. The bytes must not change until it is done. Some are decoded at
   * once, the rest wait; an aborted one is not begun.
   * @throws NearvoteError `image_empty`, `image_unsupported`, `image_damaged`, `image_too_many_pixels`, or the reason of
   * `signal`
   */
  decode(content: ImageContent | Uint8Array, signal?: Cancellation): Promise<Uint8Array>;
}

/** Enough to keep every core busy; the rest wait as compressed bytes, which are smaller than pixels. */
const decodesAtOnce = 2 * availableParallelism();

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
export function createDecoder({ geometry, maxPixels = 50_000_000 }: DecoderOptions): Decoder {
  const { width, height } = outputSize(geometry);
  const inTurn = pLimit(decodesAtOnce);
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
    if (format === 'png') {
      const pixels = keeps(geometry, { width, height })
        ? decodePlainPng(bytes, { width, height })
        : undefined;
      if (pixels !== undefined) return pixels;
    }
    if (!mayBeWhole(format, bytes)) throw damaged(format);
    return inTurn(async () => {
      signal?.throwIfAborted();
      try {
        return mayHold16Bits(format, bytes) && (await isProfiled16Bit(bytes, opening))
          ? await decodeProfiled16Bit(bytes)
          : await toPixels((await fitted(bytes)).flatten({ background: white }));
      } catch (error) {
        throw asImageError(error, format, maxPixels);
      }
    });
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

async function isProfiled16Bit(bytes: Uint8Array, opening: SharpOptions): Promise<boolean> {
  const { space, hasProfile } = await sharp(bytes, opening).metadata();
  return space === 'rgb16' && hasProfile;
}

/** libvips speaks of its operations and of file offsets: none of that is for a client, so it stays in `cause`. */
function asImageError(error: unknown, format: ImageFormat, maxPixels: number): NearvoteError {
  if (error instanceof NearvoteError) return error;
  const text = error instanceof Error ? error.message : String(error);
  if (/pixel limit|security limit|too large|too big|dimensions? exceed/i.test(text)) {
    return new NearvoteError(
      'image_too_many_pixels',
      `Expected an image of at most ${maxPixels} pixels but received a larger ${formatNames[format]}`,
      { cause: error },
    );
  }
  if (/channel limit/i.test(text)) {
    return new NearvoteError(
      'image_unsupported',
      `Expected an image of colours or greys but received another kind of ${formatNames[format]}`,
      { cause: error },
    );
  }
  return damaged(format, { cause: error });
}

function damaged(format: ImageFormat, options?: ErrorOptions): NearvoteError {
  return new NearvoteError(
    'image_damaged',
    `Expected a whole ${formatNames[format]} image but received one that is truncated or corrupt`,
    options,
  );
}
