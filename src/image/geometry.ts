import { createHash } from 'node:crypto';
import { z } from 'zod';

const side = z.int().min(1).max(4096);
const size = z.strictObject({ width: side, height: side });

export const fits = ['fill', 'cover', 'contain'] as const;
export const kernels = ['nearest', 'linear', 'cubic', 'mitchell', 'lanczos2', 'lanczos3'] as const;

/** How an image of any size becomes the pixels of one size that an encoder takes. */
export const geometrySchema = z
  .strictObject({
    /** To a width and height, or in its own proportions until the shorter edge has this length, or not at all. */
    resize: z.union([size, z.strictObject({ shortestEdge: side }), z.literal('none')]),
    /** The middle of what the resizing left; with `none` before it, a smaller image is padded with black. */
    crop: size.optional(),
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
  if (resize !== 'none') words.push(`kernel ${kernel}`);
  return words.join(', ');
}

/** The sha256 of the whole geometry, lower-case hex: what a cache or a manifest tells two of them apart by. */
export function hashGeometry(geometry: Geometry): string {
  return createHash('sha256').update(describeGeometry(geometry)).digest('hex');
}
