import type { Request, Response } from 'express';

import { NearvoteError } from '../domain/errors.js';
import { bodyTooLarge, hasBody, openBody, quoted, readBody, type Incoming, type Reading } from './body.js';
import { parseJsonImages } from './json-images.js';
import { createMultipartReader } from './multipart.js';
import { imageTooLarge, uploadedOne, type Upload, type UploadLimits } from './uploaded.js';

export type ReadUpload = (
  exchange: { readonly req: Request; readonly res: Response },
  reading: Reading,
) => Promise<Upload>;

/**
 * Reads the images of a request, whichever of the three forms it has, never holding more than `maxBodyBytes` of it.
 * @throws NearvoteError `image_missing`, `media_type_unsupported`, `body_too_large`, `overloaded`, `client_gone`,
 * and those of the forms
 */
export function createUploadReader(limits: UploadLimits): ReadUpload {
  const readMultipart = createMultipartReader(limits);
  return async ({ req, res }, reading) => {
    const mediaType = mediaTypeOf(req);
    const incoming = { req, res, limit: limits.maxBodyBytes, ...reading };
    if (mediaType === 'multipart/form-data') {
      return readMultipart(openBody(incoming), req, res);
    }
    if (mediaType === 'application/json') {
      return parseJsonImages(await readBody(incoming), limits);
    }
    if (mediaType?.startsWith('image/') === true) {
      return uploadedOne(await readImage(incoming, limits), limits);
    }
    if (mediaType === undefined && !hasBody(req)) {
      throw new NearvoteError('image_missing', 'Expected an image but received no body');
    }
    throw new NearvoteError(
      'media_type_unsupported',
      `Expected multipart/form-data, image/* or application/json but received ${
        mediaType === undefined ? 'no Content-Type' : quoted(mediaType)
      }`,
    );
  };
}

/** A raw image is bounded by the limit of one image; past the limit of any body it is called what the others are. */
async function readImage(incoming: Incoming, limits: UploadLimits): Promise<Buffer> {
  const { maxImageBytes, maxBodyBytes } = limits;
  if (Number(incoming.req.headers['content-length'] ?? 0) > maxBodyBytes) throw bodyTooLarge(maxBodyBytes);
  try {
    return await readBody({ ...incoming, limit: Math.min(maxImageBytes, maxBodyBytes) });
  } catch (error) {
    if (error instanceof NearvoteError && error.code === 'body_too_large') throw imageTooLarge(maxImageBytes);
    throw error;
  }
}

function mediaTypeOf(req: Request): string | undefined {
  return req.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
}
