import { createHash } from 'node:crypto';
import { z } from 'zod';

const side = z.int().min(1).max(4096);
const size = z.strictObject({ width: side, height: side });
const crop = z.strictObject({
  width: side,
  height: side,
  /**
   * Where the crop begins when an odd number of pixels is cut off: `even` at the even one of two, as torchvision does and
   * unless told, `down` at the first, as the image processors of transformers do.
   */
  halves: z.enum(['even', 'down']).optional(),
});

export const fits = ['fill', 'cover', 'contain'] as const;
export const kernels = ['nearest', 'linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3'] as const;

/** How an image of any size becomes the pixels of one size that an encoder takes. */
export const geometrySchema = z
  .strictObject({
    /** To a width and height, or in its own proportions until the shorter edge has this length, or not at all. */
    resize: z.union([size, z.strictObject({ shortestEdge: side }), z.literal('none')]),
    /** The middle of what the resizing left; with `none` before it, a smaller image is padded with black. */
    crop: crop.optional(),
    /** Of a resize to width and height: `fill` stretches, `cover` keeps the middle, `contain` pads with black. */
    fit: z.enum(fits).optional(),
    /** Which filter resizes. */
    kernel: z.enum(kernels),
  })
  .superRefine(({ resize, crop, fit }, context) => {
    const wrong = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    const exact = resize !== 'none' && 'width' in resize;
    if (exact !== (fit !== undefined))
      wrong('fit', 'Expected a fit with a width and height, and none without');
    if (!exact && crop === undefined)
      wrong('crop', 'Expected a crop where the resize gives no width and height');
    const room = roomOf(resize);
    if (crop && room && (crop.width > room.width || crop.height > room.height)) {
      wrong('crop', 'Expected a crop no larger than what the resize leaves');
    }
  });

export type Geometry = Readonly<z.infer<typeof geometrySchema>>;
export type Fit = (typeof fits)[number];
export type Kernel = (typeof kernels)[number];

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** What any image has at least after the resize; undefined where it may be anything. */
function roomOf(resize: z.infer<typeof geometrySchema>['resize']): Size | undefined {
  if (resize === 'none') return undefined;
  return 'width' in resize ? resize : { width: resize.shortestEdge, height: resize.shortestEdge };
}

/** The width and height of every image that goes through it. */
export function outputSize({ resize, crop }: Geometry): Size {
  const size = crop ?? (resize !== 'none' && 'width' in resize ? resize : undefined);
  if (size === undefined) throw new RangeError('Expected a geometry with one size for all images');
  return { width: size.width, height: size.height };
}

/** How an image of one size goes through a geometry. */
export interface Fitting {
  /** It is resized to this. */
  readonly size: Size;
  /** Of which this part is kept. */
  readonly crop: Size & { readonly left: number; readonly top: number };
  /** So much black lies to the left of that and above it; what is missing then lies on the other side. */
  readonly pad: { readonly left: number; readonly top: number };
}

/**
 * What a geometry makes of an image. Lengths are rounded as torchvision's `Resize` and transformers do, and crops as
 * torchvision's `CenterCrop` or transformers' do.
 * https://github.com/pytorch/vision/blob/main/torchvision/transforms/functional.py
 * https://github.com/huggingface/transformers/blob/main/src/transformers/image_transforms.py
 */
export function fitOf(geometry: Geometry, { width, height }: Size): Fitting {
  const wanted = outputSize(geometry);
  const size = resizedTo(geometry, { width, height });
  const halves = geometry.crop?.halves ?? 'even';
  const across = middleOf(size.width, { wanted: wanted.width, halves });
  const down = middleOf(size.height, { wanted: wanted.height, halves });
  return {
    size,
    crop: { left: across.start, top: down.start, width: across.kept, height: down.kept },
    pad: { left: across.before, top: down.before },
  };
}

function resizedTo({ resize, fit = 'fill' }: Geometry, { width, height }: Size): Size {
  if (resize === 'none') return { width, height };
  if (!('width' in resize)) {
    const edge = resize.shortestEdge;
    return width <= height
      ? { width: edge, height: Math.floor((edge * height) / width) }
      : { width: Math.floor((edge * width) / height), height: edge };
  }
  if (fit === 'fill') return { width: resize.width, height: resize.height };
  const [x, y] = [resize.width / width, resize.height / height];
  const scale = fit === 'cover' ? Math.max(x, y) : Math.min(x, y);
  const scaled = (length: number): number => Math.max(1, Math.round(length * scale));
  return { width: scaled(width), height: scaled(height) };
}

/** Which part of `length` is kept so that `wanted` are left, and how much is added before it. */
function middleOf(length: number, { wanted, halves }: { wanted: number; halves: 'even' | 'down' }) {
  const kept = Math.min(length, wanted);
  const half = (length - kept) / 2;
  return {
    start: halves === 'down' ? Math.floor(half) : roundHalfEven(half),
    kept,
    before: Math.floor((wanted - kept) / 2),
  };
}

/** Python's `round`. */
function roundHalfEven(value: number): number {
  const below = Math.floor(value);
  return value - below === 0.5 ? below + (below % 2) : Math.round(value);
}

/** Images above this may be made smaller by whole factors before they are resampled. */
const largePixels = 1_000_000;
/** By how much at least the resampling itself still makes them smaller: then what was averaged before hardly shows. */
const leftToResample = 4;

/**
 * By how much, a power of two, a large image is made smaller before it is resampled to `target`: it need not be held whole,
 * and libjpeg decodes it so for less. 1 for whatever is not much larger.
 */
export function shrinkBefore({ width, height }: Size, target: Size): number {
  if (width * height <= largePixels) return 1;
  const room = Math.min(width / target.width, height / target.height) / leftToResample;
  return 2 ** Math.floor(Math.log2(Math.max(1, room)));
}

/** Resizes to a width and height, and no more. */
export function resizeTo({
  width,
  height,
  fit,
  kernel,
}: Size & { readonly fit: Fit; readonly kernel: Kernel }): Geometry {
  return { resize: { width, height }, fit, kernel };
}

/** The whole of it in words of one spelling: two geometries that give the same pixels by rule say the same. */
export function describeGeometry({ resize, crop, fit, kernel }: Geometry): string {
  const words: string[] = [];
  if (resize === 'none') words.push('no resize');
  else if ('width' in resize) words.push(`resize ${resize.width} x ${resize.height}`, `fit ${fit ?? 'fill'}`);
  else words.push(`shortest edge ${resize.shortestEdge}`);
  if (crop !== undefined) words.push(`crop ${crop.width} x ${crop.height}`);
  if (crop?.halves === 'down') words.push('halves down');
  if (resize !== 'none') words.push(`kernel ${kernel}`);
  return words.join(', ');
}

/** The sha256 of the whole geometry, lower-case hex: what a cache or a manifest tells two of them apart by. */
export function hashGeometry(geometry: Geometry): string {
  return createHash('sha256').update(describeGeometry(geometry)).digest('hex');
}
