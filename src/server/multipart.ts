import busboy, { type Busboy } from 'busboy';

import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';
import {
  Gathering,
  imageTooLarge,
  type Incoming,
  malformed,
  receive,
  type SentImages,
  tooManyImages,
  unexpectedField,
  type UploadLimits,
} from './body.js';

/** Letters of a file's name that an answer repeats; few file systems have longer ones. */
const mostFileName = 255;

/** A file as far as it has come; undefined where it is too large, and no longer kept. */
interface Part {
  readonly file: string;
  bytes: Gathering | undefined;
}

/** Bytes of a text field, where a form may have some. */
const mostTextBytes = 4_096;

export interface MultipartOptions extends UploadLimits {
  /** Text fields that the form may have beside its files, each once; none unless told. */
  readonly texts?: readonly string[] | undefined;
}

export interface SentForm extends SentImages {
  /** The name of the file in `image`. */
  readonly file: string | undefined;
  readonly texts: ReadonlyMap<string, string>;
}

/**
 * Reads `multipart/form-data` with one file `image` or several files `images`, into memory.
 * @throws NearvoteError `field_unexpected`, `image_missing`, `image_too_large`, `too_many_images`,
 * `request_malformed`, and those of `receive`
 */
export async function readMultipart(incoming: Incoming, options: MultipartOptions): Promise<SentForm> {
  const form = createForm(incoming, options);
  try {
    await receive(incoming, (fail) => {
      form.failed = fail;
      return (piece) => void form.parser.write(piece);
    });
    await end(form.parser);
  } finally {
    form.parser.destroy();
  }
  if (form.failure !== undefined) throw form.failure;
  return { ...sentIn(form, options), file: form.one[0]?.file, texts: form.texts };
}

interface Form {
  readonly parser: Busboy;
  /** Parts of the field `image`: one at most. */
  readonly one: Part[];
  readonly many: Part[];
  readonly texts: Map<string, string>;
  /** The first thing that was wrong. */
  failure?: NearvoteError;
  /** Told of it while the body still comes. */
  failed?: (failure: NearvoteError) => void;
}

function createForm({ req: { headers } }: Incoming, limits: MultipartOptions): Form {
  const form: Form = { parser: createParser(headers, limits), one: [], many: [], texts: new Map() };
  const fail = (failure: NearvoteError): void => {
    form.failure ??= failure;
    form.failed?.(form.failure);
  };
  form.parser
    .on('file', (name: string | undefined, file, { filename }: { filename?: string }) => {
      // A file that breaks off has its parser fail too.
      file.on('error', () => undefined);
      const refusal = name === undefined ? namelessPart() : refusalOf(name, form, limits);
      if (refusal !== undefined) fail(refusal);
      // A form's file input without a choice has no filename.
      if (refusal !== undefined || filename === undefined || filename === '') {
        file.resume();
        return;
      }
      const part: Part = { file: filename.slice(0, mostFileName), bytes: new Gathering() };
      (name === 'image' ? form.one : form.many).push(part);
      file.on('data', (piece: Buffer) => part.bytes?.add(piece));
      file.on('limit', () => {
        part.bytes = undefined;
        if (name === 'image') fail(imageTooLarge(limits.maxImageBytes));
      });
    })
    .on('field', (name: string | undefined, value, { valueTruncated }) => {
      // Swagger UI sends a field without a choice so.
      if ((name === 'image' || name === 'images') && value === '' && !valueTruncated) return;
      if (name === undefined) fail(namelessPart());
      else if (limits.texts?.includes(name) !== true) fail(textField(name, limits));
      else if (valueTruncated) fail(longText(name));
      else if (form.texts.has(name)) fail(malformed(`Expected the field ${name} once but received it twice`));
      else form.texts.set(name, value);
    })
    .on('partsLimit', () => fail(tooManyImages(limits)))
    .on('error', (cause) => fail(brokenForm(cause)));
  return form;
}

function createParser(headers: Incoming['req']['headers'], limits: MultipartOptions): Busboy {
  const texts = limits.texts?.length ?? 0;
  try {
    return busboy({
      headers,
      // As browsers and curl send the names of files.
      defParamCharset: 'utf8',
      // One part more, so that the error can name what is wrong with it; of a text field no more is kept than that it has one.
      limits: {
        parts: limits.maxImages + texts + 1,
        fileSize: limits.maxImageBytes + 1,
        fieldSize: texts === 0 ? 1 : mostTextBytes,
      },
    });
  } catch (cause) {
    throw brokenForm(cause);
  }
}

/** Resolves when all that was written is parsed, which takes no wait: what is open after that stays open. */
function end(parser: Busboy): Promise<void> {
  return new Promise((resolve) => {
    parser.once('close', resolve);
    parser.end();
    // busboy waits for ever for the end of a file that begins after the form's end, in the same piece.
    setImmediate(() => parser.destroy(new Error('Unexpected end of form')));
  });
}

function sentIn({ one, many }: Form, { maxImageBytes }: UploadLimits): SentImages {
  const [image] = one;
  if (image === undefined && many.length === 0) {
    throw new NearvoteError(
      'image_missing',
      'Expected a file in the field image or images but received none; a file part has a filename',
    );
  }
  const images = many.map(({ file, bytes }) => ({
    file,
    image: bytes?.whole() ?? imageTooLarge(maxImageBytes),
  }));
  return { image: image?.bytes?.whole(), images: images.length === 0 ? undefined : images };
}

/** Why a file of this name is not taken, if it is not. */
function refusalOf(name: string, { one, many }: Form, limits: UploadLimits): NearvoteError | undefined {
  if (name === 'images') return many.length === limits.maxImages ? tooManyImages(limits) : undefined;
  if (name !== 'image') return unexpectedField(quoted(name));
  return one.length === 0
    ? undefined
    : new NearvoteError(
        'too_many_images',
        'Expected one file in the field image but received more; several go in the field images',
      );
}

function brokenForm(cause: unknown): NearvoteError {
  return malformed('Expected a whole multipart body but received one that is malformed or ends early', {
    cause,
  });
}

function namelessPart(): NearvoteError {
  return malformed('Expected every part to have the name image or images');
}

function textField(name: string, { texts = [] }: MultipartOptions): NearvoteError {
  const known = texts.length === 0 ? '' : `, and the text fields ${texts.join(', ')},`;
  return new NearvoteError(
    'field_unexpected',
    `Expected only files in the field image or images${known} but received the text field ${quoted(name)}; a file part has a filename`,
  );
}

function longText(name: string): NearvoteError {
  return malformed(`Expected at most ${mostTextBytes} bytes in the field ${name} but received more`);
}
