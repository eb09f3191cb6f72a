import type { Readable, Writable } from 'node:stream';

import type { Request, Response } from 'express';
import multer from 'multer';

import { NearvoteError } from '../domain/errors.js';
import { joined, quoted } from './body.js';
import { imageTooLarge, tooManyImages, uploadedMany, uploadedOne } from './uploaded.js';
import type { Upload, UploadLimits } from './uploaded.js';

/** What multer reads of, and leaves on, the request it is given. */
interface Form extends Readable {
  headers: Request['headers'];
  body?: Readonly<Record<string, unknown>>;
  files?: Readonly<Record<string, readonly Express.Multer.File[]>>;
}

export type ReadMultipart = (body: Readable, req: Request, res: Response) => Promise<Upload>;

/**
 * Reads `multipart/form-data` with one file `image` or several files `images`, into memory.
 * @throws NearvoteError `field_unexpected`, `image_*`, `too_many_images`, `request_malformed`, and what the body throws
 */
export function createMultipartReader(limits: UploadLimits): ReadMultipart {
  const options = {
    storage: createImageStorage(limits.maxImageBytes),
    // One text field is let through, so that the error can name it.
    limits: {
      files: limits.maxImages,
      parts: limits.maxImages + 1,
      fields: 1,
      fieldSize: 1024,
      fieldNameSize: 100,
      headerPairs: 20,
    },
    // multer reads a refused body to its end before it reports; the body of `openBody` may be dropped at once instead.
    streamHandler(body: Readable, busboy: Writable) {
      busboy.once('unpipe', () => body.destroy());
      // busboy waits for ever for the end of a file that begins after the form's end, in the same chunk.
      body.once('end', () => setImmediate(() => setImmediate(failUnfinished, busboy)));
      body.pipe(busboy);
    },
  };
  const parse = multer(options).fields([
    { name: 'image', maxCount: 1 },
    { name: 'images', maxCount: limits.maxImages },
  ]);
  return (body, req, res) =>
    new Promise((resolve, reject) => {
      const form: Form = Object.assign(body, { headers: req.headers });
      // multer reads only headers and the stream of its request.
      parse(form as unknown as Request, res, (error: unknown) => {
        try {
          if (error !== undefined) throw translate(error, limits);
          resolve(uploadOf(form, limits));
        } catch (refusal) {
          reject(refusal instanceof Error ? refusal : new Error('multipart failed', { cause: refusal }));
        }
      });
    });
}

/** Nothing more is coming, and what came is read without a wait: what is open now stays open. */
function failUnfinished(busboy: Writable): void {
  if (!busboy.writableFinished && !busboy.destroyed) busboy.destroy(new Error('Unexpected end of form'));
}

/** Memory storage that stops keeping a file past the limit: `image` fails at once, one of `images` fails alone. */
function createImageStorage(maxImageBytes: number): multer.StorageEngine {
  return {
    _handleFile(_req, file, done) {
      const chunks: Buffer[] = [];
      let size = 0;
      file.stream.on('data', (chunk: Buffer) => {
        const before = size;
        size += chunk.length;
        if (size <= maxImageBytes) chunks.push(chunk);
        else {
          chunks.length = 0;
          if (file.fieldname === 'image' && before <= maxImageBytes) done(imageTooLarge(maxImageBytes));
        }
      });
      file.stream.on('end', () => {
        if (file.fieldname === 'images' || size <= maxImageBytes)
          done(null, { buffer: joined(chunks), size });
      });
    },
    _removeFile(_req, _file, done) {
      done(null);
    },
  };
}

function uploadOf(form: Form, limits: UploadLimits): Upload {
  const [text] = Object.keys(form.body ?? {});
  if (text !== undefined) throw textField(text);
  const [image] = form.files?.image ?? [];
  const images = form.files?.images ?? [];
  if (image !== undefined && images.length > 0) {
    throw new NearvoteError('field_unexpected', 'Expected either image or images but received both');
  }
  if (image !== undefined) return uploadedOne(image.buffer, limits);
  if (images.length === 0) {
    throw new NearvoteError(
      'image_missing',
      'Expected a file in the field image or images but received none; a file part has a filename',
    );
  }
  return uploadedMany(
    images.map((file) =>
      file.size > limits.maxImageBytes ? imageTooLarge(limits.maxImageBytes) : file.buffer,
    ),
    limits,
  );
}

function textField(name: string | undefined): NearvoteError {
  const field = name === undefined ? 'a text field' : `the text field ${quoted(name)}`;
  return new NearvoteError(
    'field_unexpected',
    `Expected only files in the field image or images but received ${field}`,
  );
}

function translate(error: unknown, limits: UploadLimits): Error {
  if (error instanceof NearvoteError) return error;
  if (!(error instanceof multer.MulterError)) {
    return new NearvoteError(
      'request_malformed',
      'Expected a whole multipart body but received one that is malformed or ends early',
      { cause: error },
    );
  }
  switch (error.code) {
    case 'LIMIT_UNEXPECTED_FILE':
      if (error.field === 'images') return tooManyImages(limits);
      if (error.field === 'image') {
        return new NearvoteError(
          'too_many_images',
          'Expected one file in the field image but received more; several go in the field images',
        );
      }
      return new NearvoteError(
        'field_unexpected',
        `Expected the field image or images but received ${quoted(error.field ?? '')}`,
      );
    case 'LIMIT_FILE_COUNT':
    case 'LIMIT_PART_COUNT':
      return tooManyImages(limits);
    case 'LIMIT_FIELD_COUNT':
    case 'LIMIT_FIELD_VALUE':
      return textField(error.field);
    case 'LIMIT_FIELD_KEY':
      return new NearvoteError(
        'field_unexpected',
        'Expected the field image or images but received a longer name',
      );
    default:
      return new NearvoteError('request_malformed', 'Expected every part to have the name image or images');
  }
}
