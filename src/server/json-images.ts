import { NearvoteError } from '../domain/errors.js';
import { quoted } from './body.js';
import { imageTooLarge, uploadedMany, uploadedOne, type UploadedImage } from './uploaded.js';
import type { Upload, UploadLimits } from './uploaded.js';

/**
 * The images of a JSON body, `{"image": base64}` or `{"images": [base64, …]}`.
 * @throws NearvoteError `request_malformed`, `field_unexpected`, `image_missing`, `image_empty`, `image_too_large`,
 * `too_many_images`
 */
export function parseJsonImages(bytes: Uint8Array, limits: UploadLimits): Upload {
  const body = parseObject(bytes);
  const fields = Object.keys(body);
  const stranger = fields.find((field) => field !== 'image' && field !== 'images');
  if (stranger !== undefined) {
    throw new NearvoteError(
      'field_unexpected',
      `Expected the field image or images but received ${quoted(stranger)}`,
    );
  }
  if (fields.length > 1) {
    throw new NearvoteError('field_unexpected', 'Expected either image or images but received both');
  }
  const [field] = fields;
  if (field === undefined) {
    throw new NearvoteError(
      'image_missing',
      'Expected the field image or images but received an empty object',
    );
  }
  const value: unknown = Reflect.get(body, field);
  if (field === 'image') return uploadedOne(decodeBase64(value, limits), limits);
  if (!Array.isArray(value)) throw malformed(`Expected images to be an array but received ${kindOf(value)}`);
  // Counted by uploadedMany: past the limit nothing is decoded.
  const items: unknown[] = value.slice(0, limits.maxImages + 1);
  return uploadedMany(
    items.map((item) => decodeBase64(item, limits)),
    limits,
  );
}

function malformed(message: string): NearvoteError {
  return new NearvoteError('request_malformed', message);
}

function kindOf(value: unknown): string {
  if (value === null) return 'null';
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`;
}

function parseObject(bytes: Uint8Array): object {
  let body: unknown;
  try {
    body = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw malformed('Expected a JSON body but received text that is not valid JSON');
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw malformed(`Expected a JSON object but received ${kindOf(body)}`);
  }
  return body;
}

/** `Buffer.from` skips what is not base64; here that is an error of the image. */
function decodeBase64(value: unknown, { maxImageBytes }: UploadLimits): UploadedImage {
  if (typeof value !== 'string') {
    return malformed(`Expected an image as a base64 string but received ${kindOf(value)}`);
  }
  if (/^(data|https?|file):/i.test(value)) {
    return malformed('Expected plain base64 but received a URL; of a data: URL send what follows the comma');
  }
  if (value.length > Math.ceil(maxImageBytes / 3) * 4) return imageTooLarge(maxImageBytes);
  if (value.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(value)) {
    return malformed('Expected standard base64 with padding and without line breaks (RFC 4648, section 4)');
  }
  return Buffer.from(value, 'base64');
}
