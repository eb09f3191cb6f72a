import { isUtf8 } from 'node:buffer';

import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';
import {
  imageTooLarge,
  malformed,
  type NamedImage,
  type SentImage,
  type SentImages,
  tooManyImages,
  unexpectedField,
  type UploadLimits,
} from './body.js';

/**
 * The images of a JSON body, `{"image": base64}` or `{"images": [base64, …]}`. Only this shape is read, from the bytes
 * and up to the first thing that is otherwise: depth and count are bounded by it, whatever was sent.
 * @throws NearvoteError `request_malformed`, `field_unexpected`, `image_missing`, `too_many_images`
 */
export function readJsonImages(bytes: Buffer, limits: UploadLimits): SentImages {
  if (!isUtf8(bytes)) throw notJson();
  const json = new JsonReader(bytes);
  if (!json.take('{')) throw malformed(`Expected a JSON object but received ${json.kind()}`);
  let sent: SentImages | undefined;
  if (!json.take('}')) {
    do {
      const field = json.key();
      if (field !== 'image' && field !== 'images') throw unexpectedField(quoted(field));
      if (sent !== undefined) {
        const again = field in sent ? `${field} twice` : 'both';
        throw new NearvoteError('field_unexpected', `Expected either image or images but received ${again}`);
      }
      json.expect(':');
      sent = field === 'image' ? { image: readImage(json, limits) } : { images: readImages(json, limits) };
    } while (json.take(','));
    json.expect('}');
  }
  json.expectEnd();
  if (sent !== undefined) return sent;
  throw new NearvoteError('image_missing', 'Expected the field image or images but received an empty object');
}

function readImages(json: JsonReader, limits: UploadLimits): NamedImage[] {
  if (!json.take('[')) throw malformed(`Expected images to be an array but received ${json.kind()}`);
  const images: NamedImage[] = [];
  if (json.take(']')) return images;
  do {
    if (images.length === limits.maxImages) throw tooManyImages(limits);
    images.push({ image: readImage(json, limits) });
  } while (json.take(','));
  json.expect(']');
  return images;
}

/** An image, or what is wrong with its base64. @throws NearvoteError `request_malformed` for what is no string */
function readImage(json: JsonReader, { maxImageBytes }: UploadLimits): SentImage {
  const text = json.text();
  if (text === undefined) {
    throw malformed(`Expected an image as a base64 string but received ${json.kind()}`);
  }
  const most = Math.ceil(maxImageBytes / 3) * 4;
  // Of base64, only `/` and `+` have ever to be escaped: a few letters in a hundred.
  if (text.end - text.start > 2 * most) return imageTooLarge(maxImageBytes);
  const base64 = json.unescape(text);
  return base64.length > most ? imageTooLarge(maxImageBytes) : decodeBase64(base64);
}

/** `Buffer.from` skips what is not base64; here that is an error of the image. */
function decodeBase64(text: string): SentImage {
  if (/^(data|https?|file):/i.test(text)) {
    return malformed('Expected plain base64 but received a URL; of a data: URL send what follows the comma');
  }
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
    return malformed('Expected standard base64 with padding and without line breaks (RFC 4648, section 4)');
  }
  return Buffer.from(text, 'base64');
}

function notJson(): NearvoteError {
  return malformed('Expected a JSON body but received text that is not valid JSON');
}

/** Where the text of a string is, without its quotes. */
interface TextSpan {
  readonly start: number;
  readonly end: number;
  readonly escaped: boolean;
}

/** In one place; all of it has to be looked at. */
const mostWhiteSpace = 1000;
const mostLiteral = 64;
const mostKey = 100;
const literal = /^(?:(null)|(true|false)|(-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?))(?![\w.+-])/;
const quote = 0x22;
const backslash = 0x5c;

/** Reads JSON from left to right, in time and memory of what it is asked for. */
class JsonReader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
    // A byte order mark.
    this.#at = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  }

  /** Goes past `mark` if it comes next. */
  take(mark: string): boolean {
    if (this.#next() !== mark.charCodeAt(0)) return false;
    this.#at += 1;
    return true;
  }

  expect(mark: string): void {
    if (!this.take(mark)) throw notJson();
  }

  expectEnd(): void {
    if (this.#next() !== undefined) throw notJson();
  }

  /** A key; one that is far longer than any that is known comes back cut. */
  key(): string {
    const text = this.text();
    if (text === undefined) throw notJson();
    const { start, end } = text;
    return end - start > mostKey ? this.#bytes.toString('utf8', start, start + mostKey) : this.unescape(text);
  }

  /** Goes past a string, if one comes next. @throws NearvoteError where it has an escaped quote */
  text(): TextSpan | undefined {
    if (!this.take('"')) return undefined;
    const bytes = this.#bytes;
    const start = this.#at;
    const end = bytes.indexOf(quote, start);
    if (end === -1) throw notJson();
    // Neither a quote nor a backslash is ever part of base64, so nobody has to look for the quote after this one.
    if (bytes[end - 1] === backslash)
      throw malformed('Expected a string of base64 but received an escaped one');
    this.#at = end + 1;
    return { start, end, escaped: bytes.subarray(start, end).includes(backslash) };
  }

  unescape({ start, end, escaped }: TextSpan): string {
    const text = this.#bytes.toString('utf8', start, end);
    if (!escaped) return text;
    try {
      return JSON.parse(`"${text}"`) as string;
    } catch {
      throw notJson();
    }
  }

  /** What comes next, in words. */
  kind(): string {
    const next = this.#next();
    if (next === quote) return 'a string';
    if (next === 0x5b) return 'an array';
    if (next === 0x7b) return 'an object';
    const [, none, boolean] = this.#literal();
    if (none !== undefined) return 'null';
    return boolean === undefined ? 'a number' : 'a boolean';
  }

  #literal(): RegExpExecArray {
    const found = literal.exec(this.#bytes.toString('latin1', this.#at, this.#at + mostLiteral));
    if (found === null) throw notJson();
    return found;
  }

  /** The byte that comes next, past white space. */
  #next(): number | undefined {
    const start = this.#at;
    for (;;) {
      const byte = this.#bytes[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return byte;
      this.#at += 1;
      if (this.#at - start > mostWhiteSpace) throw notJson();
    }
  }
}
