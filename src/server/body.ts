import type { IncomingMessage, ServerResponse } from 'node:http';

import type { Cancellation } from '../domain/cancellation.js';
import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';

export function bodyTooLarge(limit: number): NearvoteError {
  return new NearvoteError(
    'body_too_large',
    `Expected a request body of at most ${limit} bytes but received more`,
  );
}

export function hasBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0;
}

/** How far a body may be read. */
export interface Reading {
  /** Past it the reading fails with its reason. */
  readonly signal: Cancellation;
  /** Asked for every byte before it is kept: the whole of an announced body at once, else as it grows. */
  readonly holdBytes: (total: number) => void;
}

/** Where a body is, and the most it may have in bytes. */
export interface Incoming extends Reading {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly limit: number;
}

/** Refuses a body by its headers, and asks a client that waits for `100 Continue` to go on. */
function admit({ req, res, limit, holdBytes }: Incoming): void {
  const encoding = req.headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    throw new NearvoteError(
      'media_type_unsupported',
      `Expected a body without Content-Encoding but received ${quoted(encoding)}`,
    );
  }
  const announced = req.headers['content-length'];
  if (announced !== undefined) {
    if (Number(announced) > limit) throw bodyTooLarge(limit);
    holdBytes(Number(announced));
  }
  if (req.headers.expect?.toLowerCase() === '100-continue') res.writeContinue();
}

/**
 * Hands over the request's body piece by piece, and stops reading where it is refused: the socket stays open, so that
 * the client can still be answered.
 * @param open gives what takes a piece, which may throw; it may also call `fail` at any other time
 * @throws NearvoteError `body_too_large`, `media_type_unsupported` for a compressed body, `overloaded`, `client_gone`,
 * the reason of the signal, and what `open` failed with
 */
export async function receive(
  incoming: Incoming,
  open: (fail: (error: unknown) => void) => (piece: Buffer) => void,
): Promise<void> {
  const { req, limit, signal, holdBytes } = incoming;
  admit(incoming);
  return new Promise((resolve, reject) => {
    let received = 0;
    const stop = (): void => {
      req.off('data', take).off('end', finish).off('close', breakOff);
      signal.removeEventListener('abort', drop);
    };
    const fail = (error: unknown): void => {
      stop();
      req.pause();
      reject(error instanceof Error ? error : new Error('reading failed', { cause: error }));
    };
    const keep = open(fail);
    const take = (piece: Buffer): void => {
      received += piece.length;
      try {
        if (received > limit) throw bodyTooLarge(limit);
        holdBytes(received);
        keep(piece);
      } catch (refusal) {
        fail(refusal);
      }
    };
    const finish = (): void => {
      stop();
      resolve();
    };
    const breakOff = (): void => {
      fail(new NearvoteError('client_gone', 'Expected the whole body but received a part'));
    };
    const drop = (): void => fail(signal.reason);
    req.on('data', take).once('end', finish).once('close', breakOff);
    signal.addEventListener('abort', drop);
    if (signal.aborted) drop();
    else if (req.destroyed) breakOff();
  });
}

/**
 * The request's body whole.
 * @throws NearvoteError as `receive`
 */
export async function readBody(incoming: Incoming): Promise<Buffer> {
  const body = new Gathering(Number(incoming.req.headers['content-length'] ?? 0));
  await receive(incoming, () => (piece) => body.add(piece));
  return body.whole();
}

/** Bytes that come in pieces, kept as one buffer: kept each, a body of one-byte chunks would hold a hundred times it. */
export class Gathering {
  #bytes: Buffer = Buffer.alloc(0);
  #length = 0;

  /** @param expected bytes in all, where that is known */
  constructor(readonly expected = 0) {}

  add(piece: Buffer): void {
    const length = this.#length + piece.length;
    if (this.#length === 0) this.#bytes = piece;
    else {
      if (length > this.#bytes.length) {
        const grown = Buffer.allocUnsafe(Math.max(length, this.expected, 2 * this.#bytes.length, 1024));
        this.#bytes.copy(grown, 0, 0, this.#length);
        this.#bytes = grown;
      }
      piece.copy(this.#bytes, this.#length);
    }
    this.#length = length;
  }

  /** What was added; nothing may be added after it. */
  whole(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

export interface UploadLimits {
  /** Images in one request. */
  readonly maxImages: number;
  readonly maxImageBytes: number;
  /** The whole body, whatever its form. */
  readonly maxBodyBytes: number;
}

/** An image, or the error that stands in its place. */
export type SentImage = Uint8Array | NearvoteError;

/** One of several images, with the name of its file where it came with one. */
export interface NamedImage {
  readonly file?: string | undefined;
  readonly image: SentImage;
}

/** What the two fields of a form or of a JSON object held; a field that was not sent is absent. */
export interface SentImages {
  readonly image?: SentImage | undefined;
  readonly images?: readonly NamedImage[] | undefined;
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
