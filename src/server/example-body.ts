import type { Request, Response } from 'express';
import { z, type ZodType } from 'zod';
import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';
import {
  imageTooLarge,
  malformed,
  readBody,
  tooManyImages,
  type Incoming,
  type Reading,
  type SentImage,
  type UploadLimits,
} from './body.js';
import { sayFault } from './json-fault.js';
import { readMultipart } from './multipart.js';

/** An image that is to be an example. */
export interface SentExample {
  /** The name of its file, where it came with one. */
  readonly file?: string | undefined;
  readonly id?: string | undefined;
  readonly label: string;
  readonly image: SentImage;
}

/** Why a change is made, and who says so, in their own words. */
export interface SentReason {
  readonly reason: string | null;
  readonly who: string | null;
}

export interface SentExamples extends SentReason {
  /** The operation that they go on with, where nothing else was changed since. */
  readonly continues: number | undefined;
  /** `one` is answered with what became of it; `many`, be it one, with a result each. */
  readonly kind: 'one' | 'many';
  readonly examples: readonly SentExample[];
}

const mostLetters = 1_000;
const text = z.string().max(mostLetters, `Expected at most ${mostLetters} characters`);
export const reasonFields = { reason: text.optional(), who: text.optional() };

/** So that many requests are taken back as one. */
const continues = z
  .int()
  .min(1)
  .optional()
  .meta({ description: 'The operation that these go on with, where nothing else was changed since' });
const jsonExample = { image: z.string(), label: z.string(), id: z.string().optional() };

/** `POST /examples` as JSON: one example, or several. */
export const examplesJson = z.union([
  z.strictObject({ ...jsonExample, ...reasonFields }),
  z.strictObject({ examples: z.array(z.strictObject(jsonExample)).min(1), continues, ...reasonFields }),
]);

const examplesShape = 'of an image and its label, {"image", "label"}, or {"examples": [{"image", "label"}]},';

/** `PATCH /examples/{id}`. */
export const relabelJson = z.strictObject({ label: z.string(), ...reasonFields });
/** `POST /changes`. */
export const actsJson = z.strictObject({
  acts: z
    .array(
      z.discriminatedUnion('kind', [
        z.strictObject({ kind: z.literal('relabel'), id: z.string(), label: z.string() }),
        z.strictObject({ kind: z.literal('delete'), id: z.string() }),
      ]),
    )
    .min(1),
  ...reasonFields,
});
/** `POST /labels/{label}`. */
export const renameJson = z.strictObject({ to: z.string(), ...reasonFields });
/** What any other change may be sent with. */
export const reasonJson = z.strictObject(reasonFields);

type Exchange = { readonly req: Request; readonly res: Response };

/**
 * Reads the body of `POST /examples`: a form with a file `image` or files `images` and the text fields `label`, `id`,
 * `reason` and `who`, or JSON with images in base64.
 * @throws NearvoteError as `readMultipart`, `label_invalid` where there is no label, `media_type_unsupported`
 */
export async function readExamples(
  { req, res }: Exchange,
  reading: Reading,
  limits: UploadLimits,
): Promise<SentExamples> {
  const incoming: Incoming = { req, res, limit: limits.maxBodyBytes, ...reading };
  const mediaType = mediaTypeOf(req);
  if (mediaType === 'multipart/form-data') return readForm(incoming, limits);
  if (mediaType === 'application/json')
    return ofJson(parseJson(await readBody(incoming), examplesJson, examplesShape), limits);
  throw wrongMediaType(mediaType, 'multipart/form-data or application/json');
}

async function readForm(incoming: Incoming, limits: UploadLimits): Promise<SentExamples> {
  const { image, images, file, texts } = await readMultipart(incoming, {
    ...limits,
    texts: ['label', 'id', 'reason', 'who', 'continues'],
  });
  const label = texts.get('label');
  if (label === undefined) {
    throw new NearvoteError(
      'label_invalid',
      'Expected the text field label beside the image but received none',
    );
  }
  const reason = reasonOf({ reason: texts.get('reason'), who: texts.get('who') });
  if (image !== undefined && images !== undefined) {
    throw new NearvoteError('field_unexpected', 'Expected either image or images but received both');
  }
  const id = texts.get('id');
  const goesOn = continuesOf(texts.get('continues'));
  if (image !== undefined)
    return { kind: 'one', examples: [{ file, id, label, image }], continues: goesOn, ...reason };
  if (id !== undefined) {
    throw new NearvoteError(
      'field_unexpected',
      'Expected no id for several images: a form has one for a single image',
    );
  }
  const examples = (images ?? []).map((one) => ({ ...one, label }));
  return { kind: 'many', examples, continues: goesOn, ...reason };
}

/** @throws NearvoteError `request_malformed` */
function continuesOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,14}$/.test(text)) return Number(text);
  throw malformed(`Expected the field continues to be the number of a change but received ${quoted(text)}`);
}

function ofJson(sent: z.infer<typeof examplesJson>, limits: UploadLimits): SentExamples {
  const reason = reasonOf(sent);
  const exampleOf = (one: { image: string; label: string; id?: string | undefined }): SentExample => ({
    ...one,
    image: decodeBase64(one.image, limits),
  });
  if (!('examples' in sent))
    return { kind: 'one', examples: [exampleOf(sent)], continues: undefined, ...reason };
  if (sent.examples.length > limits.maxImages) throw tooManyImages(limits);
  return { kind: 'many', examples: sent.examples.map(exampleOf), continues: sent.continues, ...reason };
}

/** `Buffer.from` skips what is not base64; here that is an error of the image. */
function decodeBase64(base64: string, { maxImageBytes }: UploadLimits): SentImage {
  if (base64.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) {
    return malformed('Expected standard base64 with padding and without line breaks (RFC 4648, section 4)');
  }
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length === 0) return new NearvoteError('image_empty', 'Expected an image but received 0 bytes');
  return bytes.length > maxImageBytes ? imageTooLarge(maxImageBytes) : bytes;
}

/** Of a change that is no image. */
const mostJsonBytes = 64 * 1024;

/**
 * Reads a JSON body, a small one unless told how many bytes it may have; where there is none, an empty object. An error shows
 * the example.
 * @throws NearvoteError `request_malformed` naming the field, `media_type_unsupported`, `body_too_large`
 */
export async function readJson<T>(
  { req, res }: Exchange,
  { example, ...reading }: Reading & { readonly limit?: number; readonly example?: string },
  schema: ZodType<T>,
): Promise<T> {
  const mediaType = mediaTypeOf(req);
  const bytes = await readBody({ req, res, limit: mostJsonBytes, ...reading });
  const shape = example === undefined ? undefined : `such as ${example}`;
  if (bytes.length === 0) return parseJson(Buffer.from('{}'), schema, shape);
  if (mediaType !== 'application/json') {
    const such = shape === undefined ? '' : `, ${shape},`;
    throw wrongMediaType(mediaType, `application/json${such}`);
  }
  return parseJson(bytes, schema, shape);
}

export function reasonOf({
  reason,
  who,
}: {
  reason?: string | undefined;
  who?: string | undefined;
}): SentReason {
  return { reason: reason ?? null, who: who ?? null };
}

function parseJson<T>(bytes: Buffer, schema: ZodType<T>, shape = 'as the contract says'): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw malformed('Expected a JSON body but received text that is not valid JSON', { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw malformed(`Expected a JSON body ${shape} but ${sayFault(deepest(parsed.error.issues), value)}`);
}

/** Of a union, what is wrong with the alternative that fits best. */
function deepest(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue | undefined {
  const [issue] = issues;
  if (issue?.code !== 'invalid_union') return issue;
  const [best] = [...issue.errors].sort((a, b) => a.length - b.length);
  return best === undefined ? issue : deepest(best);
}

function mediaTypeOf(req: Request): string | undefined {
  return req.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
}

function wrongMediaType(received: string | undefined, expected: string): NearvoteError {
  return new NearvoteError(
    'media_type_unsupported',
    `Expected ${expected} but received ${received === undefined ? 'no Content-Type' : quoted(received)}`,
  );
}
