import type { Request, Response } from 'express';

import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';
import {
  bodyTooLarge,
  hasBody,
  imageTooLarge,
  type Incoming,
  type NamedImage,
  readBody,
  type Reading,
  type SentImage,
  type SentImages,
  tooManyImages,
  type UploadLimits,
} from './body.js';
import { readJsonImages } from './json-images.js';
import { readMultipart } from './multipart.js';

/** `image` is answered with its decision; `images`, be it one, with a result each, so one that is bad fails alone. */
type Upload =
  | { readonly kind: 'one'; readonly image: Uint8Array }
  | { readonly kind: 'many'; readonly images: readonly NamedImage[] };

export type ReadUpload = (
  exchange: { readonly req: Request; readonly res: Response },
  reading: Reading,
) => Promise<Upload>;

/**
 * Reads the images of a request, whichever form it has, never holding more than `maxBodyBytes` of it.
 * @throws NearvoteError `image_missing`, `image_empty`, `image_too_large`, `too_many_images`, `field_unexpected`,
 * `request_malformed`, `media_type_unsupported`, `body_too_large`, `overloaded`, `client_gone`
 */
export function createUploadReader(limits: UploadLimits): ReadUpload {
  return async ({ req, res }, reading) => {
    const mediaType = req.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
    const incoming = { req, res, limit: limits.maxBodyBytes, ...reading };
    if (mediaType === 'multipart/form-data') {
      return uploadOf(await readMultipart(incoming, limits), limits);
    }
    if (mediaType === 'application/json') {
      return uploadOf(readJsonImages(await readBody(incoming), limits), limits);
    }
    // What the image is, its first bytes tell.
    if (mediaType?.startsWith('image/') === true || mediaType === 'application/octet-stream') {
      return uploadOf({ image: await readImage(incoming, limits) }, limits);
    }
    if (mediaType === undefined && !hasBody(req)) {
      throw new NearvoteError('image_missing', 'Expected an image but received no body');
    }
    throw new NearvoteError(
      'media_type_unsupported',
      `Expected multipart/form-data, image/*, application/octet-stream or application/json but received ${
        mediaType === undefined ? 'no Content-Type' : quoted(mediaType)
      }`,
    );
  };
}

/** A raw image is bounded by the limit of one image; past the limit of any body it is called what the others are. */
async function readImage(incoming: Incoming, { maxImageBytes, maxBodyBytes }: UploadLimits): Promise<Buffer> {
  if (Number(incoming.req.headers['content-length'] ?? 0) > maxBodyBytes) throw bodyTooLarge(maxBodyBytes);
  try {
    return await readBody({ ...incoming, limit: Math.min(maxImageBytes, maxBodyBytes) });
  } catch (error) {
    if (error instanceof NearvoteError && error.code === 'body_too_large') throw imageTooLarge(maxImageBytes);
    throw error;
  }
}

function uploadOf({ image, images }: SentImages, limits: UploadLimits): Upload {
  if (image !== undefined && images !== undefined) {
    throw new NearvoteError('field_unexpected', 'Expected either image or images but received both');
  }
  if (image !== undefined) {
    const checked = checkSize(image, limits);
    if (checked instanceof NearvoteError) throw checked;
    return { kind: 'one', image: checked };
  }
  if (images === undefined || images.length === 0) {
    throw new NearvoteError('image_missing', 'Expected at least one image in images but received none');
  }
  if (images.length > limits.maxImages) throw tooManyImages(limits);
  return { kind: 'many', images: images.map((each) => ({ ...each, image: checkSize(each.image, limits) })) };
}

function checkSize(image: SentImage, { maxImageBytes }: UploadLimits): SentImage {
  if (image instanceof NearvoteError) return image;
  if (image.byteLength === 0) {
    return new NearvoteError('image_empty', 'Expected an image but received 0 bytes');
  }
  return image.byteLength > maxImageBytes ? imageTooLarge(maxImageBytes) : image;
}
