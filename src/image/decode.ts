import { availableParallelism } from 'node:os';
import pLimit from 'p-limit';
import sharp from 'sharp';
import type { Sharp, SharpInput, SharpOptions } from 'sharp';
import type { Cancellation } from '../domain/cancellation.js';
import { NearvoteError } from '../domain/errors.js';
import { mayBeWhole } from './completeness.js';
import type { ImageContent } from './dataset/dataset.js';
import { requireFormat } from './format.js';
import type { ImageFormat } from './format.js';
import { decodePlainPng } from './plain-png.js';

export interface DecoderOptions {
  readonly width: number;
  readonly height: number;
  /** `fill` stretches, `cover` keeps the middle, `contain` pads with black. */
  readonly fit: 'fill' | 'cover' | 'contain';
  readonly kernel: 'nearest' | 'linear' | 'cubic' | 'mitchell' | 'lanczos2' | 'lanczos3';
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

/** The only loaders left open in this process: SVG, raw formats and files by name stay shut even if a check fails. */
const loaders = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Heif', 'Tiff'].map(
  (name) => `VipsForeignLoad${name}Buffer`,
);

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

/** Makes the one decoder that build, evaluate and the server share; it also sets sharp up for this process. */
export function createDecoder(options: DecoderOptions): Decoder {
  const { width, height, fit, kernel, maxPixels = 50_000_000 } = options;
  // Every image is new and small work: a cache only holds memory, and threads come from having many images at once.
  sharp.cache(false);
  sharp.concurrency(1);
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: loaders });

  const inTurn = pLimit(decodesAtOnce);
  const opening: SharpOptions = {
    autoOrient: true,
    limitInputPixels: maxPixels,
    // `truncated` lets a cut-off TIFF pass, `warning` refuses JPEGs that every viewer shows.
    failOn: 'error',
  };

  const fitted = (input: SharpInput, more?: SharpOptions): Sharp =>
    // Where the size is right already libvips adds no resize stage.
    sharp(input, { ...opening, ...more }).resize({ width, height, fit, kernel, background: black });

  async function decodeFile(bytes: Uint8Array, signal: Cancellation | undefined): Promise<Uint8Array> {
    const format = requireFormat(bytes);
    if (format === 'png') {
      const pixels = decodePlainPng(bytes, { width, height });
      if (pixels !== undefined) return pixels;
    }
    if (!mayBeWhole(format, bytes)) throw damaged(format);
    return inTurn(async () => {
      signal?.throwIfAborted();
      try {
        return mayHold16Bits(format, bytes) && (await isProfiled16Bit(bytes, opening))
          ? await decodeProfiled16Bit(bytes)
          : await toPixels(fitted(bytes).flatten({ background: white }));
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
    const { data, info } = await fitted(bytes)
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
    if (content.width === width && content.height === height) return new Uint8Array(pixels);
    return toPixels(fitted(pixels, { raw: { width: content.width, height: content.height, channels: 3 } }));
  }

  return {
    async decode(content, signal) {
      if (content instanceof Uint8Array) return decodeFile(content, signal);
      return content.kind === 'file' ? decodeFile(content.bytes, signal) : decodePixels(content);
    },
  };
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
