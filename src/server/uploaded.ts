import { NearvoteError } from '../domain/errors.js';

export interface UploadLimits {
  /** Images in one request. */
  readonly maxImages: number;
  readonly maxImageBytes: number;
  /** The whole body, whatever its form. */
  readonly maxBodyBytes: number;
}

export type UploadedImage = Uint8Array | NearvoteError;

/** One image is answered with its decision; many with a result each, so one that is bad fails alone. */
export type Upload =
  | { readonly kind: 'one'; readonly image: Uint8Array }
  | { readonly kind: 'many'; readonly images: readonly UploadedImage[] };

export function imageTooLarge(maxImageBytes: number): NearvoteError {
  return new NearvoteError(
    'image_too_large',
    `Expected an image of at most ${maxImageBytes} bytes but received more`,
  );
}

/** @throws the error that stands in the image's place, NearvoteError `image_empty` or `image_too_large` */
export function uploadedOne(image: UploadedImage, limits: UploadLimits): Upload {
  const checked = checkSize(image, limits);
  if (checked instanceof NearvoteError) throw checked;
  return { kind: 'one', image: checked };
}

/** @throws NearvoteError `image_missing`, `too_many_images` */
export function uploadedMany(images: readonly UploadedImage[], limits: UploadLimits): Upload {
  if (images.length === 0) {
    throw new NearvoteError('image_missing', 'Expected at least one image in images but received none');
  }
  if (images.length > limits.maxImages) throw tooManyImages(limits);
  return { kind: 'many', images: images.map((image) => checkSize(image, limits)) };
}

export function tooManyImages(limits: UploadLimits): NearvoteError {
  return new NearvoteError(
    'too_many_images',
    `Expected at most ${limits.maxImages} images in one request but received more`,
  );
}

function checkSize(image: UploadedImage, { maxImageBytes }: UploadLimits): UploadedImage {
  if (image instanceof NearvoteError) return image;
  if (image.byteLength === 0) {
    return new NearvoteError('image_empty', 'Expected an image but received 0 bytes');
  }
  return image.byteLength > maxImageBytes ? imageTooLarge(maxImageBytes) : image;
}
