import type { Cancellation } from '../domain/cancellation.js';
import { messageOf, NearvoteError } from '../domain/errors.js';
import type { ImageContent } from './dataset/dataset.js';
import { costOf, costOfHeader, heldFor, tooCostly, type DecodeCost } from './decode-cost.js';
import { createDecodeTurns } from './decode-turns.js';
import { mayBeWhole, requireFormat, type ImageFormat } from './format.js';
import { fitOf, outputSize, shrinkBefore, type Geometry, type Size } from './geometry.js';
import { decodePlainPng } from './plain-png.js';
import { resamplingWork, type Pixels } from './resample.js';
import { resampleAside } from './resampler.js';
import { sharp, type Sharp, type SharpOptions } from './sharp.js';

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

interface ImageCost extends DecodeCost {
  /** Multiplications of the resampling. */
  readonly resampling: number;
}

/** How an image was made smaller while it was decoded. */
interface Shrunk {
  readonly factor: number;
  /** What it was before, upright; absent where the factor is 1. */
  readonly original?: Size | undefined;
}

/** Of this process, whichever decoder they are for. */
const turns = createDecodeTurns();

const defaultMaxPixels = 50_000_000;

/** A JPEG of 50 megapixels in the usual ten scans goes through 14 samples a pixel where it is not subsampled. */
const mostSamplesAPixel = 20;

/** In pixels: libvips makes nothing smaller by more than a million times, nor goes through coordinates beyond 100 million. */
const longestSide = 1_000_000;

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
  const { geometry, maxPixels = defaultMaxPixels, maxDecodeBytes = 300_000_000 } = options;
  const { width, height } = outputSize(geometry);
  const opening: SharpOptions = {
    autoOrient: true,
    limitInputPixels: maxPixels,
    // `truncated` lets a cut-off TIFF pass, `warning` refuses JPEGs that every viewer shows.
    failOn: 'error',
  };

  async function decodeFile(bytes: Uint8Array, signal: Cancellation | undefined): Promise<Uint8Array> {
    const format = requireFormat(bytes);
    if (format === 'png' && keeps(geometry, { width, height })) {
      const pixels = decodePlainPng(bytes, { width, height });
      if (pixels !== undefined) return pixels;
    }
    try {
      const { cost, profiled16Bit } = await inspect(format, bytes, signal);
      // A multiplication takes about as long as a sample.
      const whole = { ...cost, samples: cost.samples + cost.resampling };
      return await turns.run({ cost: whole, maxBytes: maxDecodeBytes }, async () => {
        signal?.throwIfAborted();
        const { image, ...shrunk } = await opened(bytes, cost);
        return fitted(await (profiled16Bit ? profiled16BitPixels(image) : pixelsOf(image)), shrunk);
      });
    } catch (error) {
      throw asImageError(error, format, maxPixels);
    }
  }

  /** What the decode will take, by the file's own header or, where that is not enough, by what libvips says of it. */
  async function inspect(format: ImageFormat, bytes: Uint8Array, signal: Cancellation | undefined) {
    const fromBytes = costOf(format, bytes, resizedSize(geometry));
    const known = fromBytes && withResampling(fromBytes);
    if (known !== undefined) requireAllowed(format, known);
    if (!mayBeWhole(format, bytes)) throw damaged(format);
    if (known !== undefined && !mayHold16Bits(format, bytes)) return { cost: known, profiled16Bit: false };
    const header = await turns.look(() => {
      signal?.throwIfAborted();
      return sharp(bytes, opening).metadata();
    });
    const cost = known ?? withResampling(costOfHeader(format, header));
    requireAllowed(format, cost);
    return { cost, profiled16Bit: header.space === 'rgb16' && header.hasProfile };
  }

  function withResampling(cost: DecodeCost): ImageCost {
    const resampling = Math.max(workOf(cost), workOf({ width: cost.height, height: cost.width }));
    return { ...heldFor(resizedSize(geometry), cost), resampling };
  }

  /** Of the resampling, for an image that lies so; it may have to be turned upright. */
  function workOf(size: Size): number {
    const factor = shrinkBefore(size, resizedSize(geometry));
    const shrunk = { width: size.width / factor, height: size.height / factor };
    return keeps(geometry, size) ? 0 : resamplingWork(shrunk, fitOf(geometry, size));
  }

  function requireAllowed(format: ImageFormat, cost: ImageCost): void {
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
    if (cost.resampling > mostSamplesAPixel * Math.max(maxPixels, defaultMaxPixels)) {
      throw tooCostly(`a ${formatNames[format]} that is resized in less time`);
    }
  }

  /** A large image is made smaller by a whole factor while it is decoded. */
  async function opened(bytes: Uint8Array, cost: Size): Promise<Shrunk & { readonly image: Sharp }> {
    const image = sharp(bytes, opening);
    const factor = shrinkBefore(cost, resizedSize(geometry));
    if (factor === 1) return { image, factor };
    const original = (await image.metadata()).autoOrient;
    const [across, down] = [Math.floor(original.width / factor), Math.floor(original.height / factor)];
    if (across === 0 || down === 0) return { image, factor: 1 };
    // By exactly that factor: libvips would go by rounded sizes, and shift an image by a part of a pixel.
    if (original.width % factor !== 0 || original.height % factor !== 0) {
      image.extract({ left: 0, top: 0, width: across * factor, height: down * factor });
    }
    image.resize({ width: across, height: down, fit: 'fill', kernel: 'cubic' });
    return { image, factor, original };
  }

  /** Resized, cropped and padded. */
  async function fitted(image: Pixels, { factor, original = image }: Shrunk): Promise<Uint8Array> {
    if (keeps(geometry, image)) return image.data;
    const { size, crop, pad } = fitOf(geometry, original);
    const from = { width: original.width / factor, height: original.height / factor };
    const data = await resampleAside(image, { from, size, crop, kernel: geometry.kernel });
    if (crop.width === width && crop.height === height) return data;
    const padded = new Uint8Array(width * height * 3);
    for (let y = 0; y < crop.height; y++) {
      const row = data.subarray(y * crop.width * 3, (y + 1) * crop.width * 3);
      padded.set(row, ((pad.top + y) * width + pad.left) * 3);
    }
    return padded;
  }

  async function decodePixels(content: Extract<ImageContent, { kind: 'pixels' }>): Promise<Uint8Array> {
    const { pixels } = content;
    if (pixels.length !== content.width * content.height * 3 || pixels.length === 0) {
      throw new NearvoteError(
        'image_damaged',
        `Expected ${content.width} x ${content.height} RGB pixels but received ${pixels.length} bytes`,
      );
    }
    return fitted(
      { data: new Uint8Array(pixels), width: content.width, height: content.height },
      { factor: 1 },
    );
  }

  return {
    async decode(content, signal) {
      if (content instanceof Uint8Array) return decodeFile(content, signal);
      return content.kind === 'file' ? decodeFile(content.bytes, signal) : decodePixels(content);
    },
  };
}

/** Upright pixels over white. @throws NearvoteError `image_unsupported` for what has neither colours nor greys */
async function pixelsOf(image: Sharp): Promise<Pixels> {
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels === 3)
    return { data: new Uint8Array(data.buffer, data.byteOffset, data.length), width, height };
  if (channels === 4) return { data: overWhite(data), width, height };
  throw new NearvoteError(
    'image_unsupported',
    'Expected an image of colours or greys but received other bands',
  );
}

/** RGBA to RGB, rounded to the nearest. */
function overWhite(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    const alpha = rgba[from + 3] as number;
    const rest = 255 * (255 - alpha) + 127;
    for (let channel = 0; channel < 3; channel++) {
      rgb[to++] = ((rgba[from + channel] as number) * alpha + rest) / 255;
    }
  }
  return rgb;
}

/**
 * sharp 0.35 turns 16-bit RGB with a profile into Display P3 and hands that out as sRGB, so its colours pale: here
 * the P3 is turned into sRGB, still 16 bits deep, before alpha and depth are dropped.
 */
async function profiled16BitPixels(image: Sharp): Promise<Pixels> {
  const { data, info } = await image
    .toColourspace('rgb16')
    .withIccProfile('srgb')
    .raw({ depth: 'ushort' })
    .toBuffer({ resolveWithObject: true });
  const samples = new Uint16Array(data.buffer, data.byteOffset, data.byteLength / 2);
  const raw = { width: info.width, height: info.height, channels: info.channels };
  return pixelsOf(sharp(samples, { raw }));
}

/** What an image is resized to, or larger. */
function resizedSize({ resize }: Geometry): Size {
  if (resize === 'none') return { width: Infinity, height: Infinity };
  return 'width' in resize ? resize : { width: resize.shortestEdge, height: resize.shortestEdge };
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
