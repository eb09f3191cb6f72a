import type { Request, Response } from 'express';

import { NearvoteError } from '../domain/errors.js';
import { bodyTooLarge, collect, hasBody, openBody, quoted } from './body.js';
import { parseJsonImages } from './json-images.js';
import { createMultipartReader } from './multipart.js';
import { imageTooLarge, uploadedOne, type Upload, type UploadLimits } from './uploaded.js';

export type ReadUpload = (req: Request, res: Response) => Promise<Upload>;

/**
 * Reads the images of a request, whichever of the three forms it has, never holding more than `maxBodyBytes` of it.
 * @throws NearvoteError `image_missing`, `media_type_unsupported`, `body_too_large`, `client_gone`, and those of the forms
 */
export function createUploadReader(limits: UploadLimits): ReadUpload {
  const readMultipart = createMultipartReader(limits);
  return async (req, res) => {
    const mediaType = mediaTypeOf(req);
    if (mediaType === 'multipart/form-data') {
      return readMultipart(openBody(req, res, limits.maxBodyBytes), req, res);
    }
    if (mediaType === 'application/json') {
      return parseJsonImages(await collect(openBody(req, res, limits.maxBodyBytes)), limits);
    }
    if (mediaType?.startsWith('image/') === true) {
      return uploadedOne(await readImage(req, res, limits), limits);
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
async function readImage(req: Request, res: Response, limits: UploadLimits): Promise<Buffer> {
  const { maxImageBytes, maxBodyBytes } = limits;
  if (Number(req.headers['content-length'] ?? 0) > maxBodyBytes) throw bodyTooLarge(maxBodyBytes);
  try {
    return await collect(openBody(req, res, Math.min(maxImageBytes, maxBodyBytes)));
  } catch (error) {
    if (error instanceof NearvoteError && error.code === 'body_too_large') throw imageTooLarge(maxImageBytes);
    throw error;
  }
}

function mediaTypeOf(req: Request): string | undefined {
  return req.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
}
