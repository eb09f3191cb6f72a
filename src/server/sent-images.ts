import { NearvoteError } from '../domain/errors.js';

export interface UploadLimits {
  /** Images in one request. */
  readonly maxImages: number;
  readonly maxImageBytes: number;
  /** The whole body, whatever its form. */
  readonly maxBodyBytes: number;
}

/** An image, or the error that stands in its place. */
export type SentImage = Uint8Array | NearvoteError;

/** What the two fields of a form or of a JSON object held; a field that was not sent is absent. */
export interface SentImages {
  readonly image?: SentImage | undefined;
  readonly images?: readonly SentImage[] | undefined;
}

export function imageTooLarge(maxImageBytes: number): NearvoteError {
  return new NearvoteError(
    'image_too_large',
    `Expected an image of at most ${maxImageBytes} bytes but received more`,
  );
}

export function tooManyImages({ maxImages }: UploadLimits): NearvoteError {
  return new NearvoteError(
    'too_many_images',
    `Expected at most ${maxImages} images in one request but received more`,
  );
}

export function malformed(message: string, options?: ErrorOptions): NearvoteError {
  return new NearvoteError('request_malformed', message, options);
}

/** A field that is neither `image` nor `images`. */
export function unexpectedField(received: string): NearvoteError {
  return new NearvoteError('field_unexpected', `Expected the field image or images but received ${received}`);
}
