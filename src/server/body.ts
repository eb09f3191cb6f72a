import type { IncomingMessage, ServerResponse } from 'node:http';
import { Transform, type Readable } from 'node:stream';

import type { Cancellation } from '../domain/cancellation.js';
import { NearvoteError } from '../domain/errors.js';

/** What a client sent, cut short and quoted for a message. */
export function quoted(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

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

function brokenOff(): NearvoteError {
  return new NearvoteError('client_gone', 'Expected the whole body but received a part');
}

/**
 * The request's body as a stream that fails past `limit` bytes. Destroying it leaves the socket open, so that the
 * client can still be answered; body-parser and multer would read a refused body to its end first.
 * @throws NearvoteError `body_too_large`, `media_type_unsupported` for a compressed body, `overloaded`
 */
export function openBody(incoming: Incoming): Readable {
  const { req, limit, signal, holdBytes } = incoming;
  admit(incoming);
  let received = 0;
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      received += chunk.length;
      try {
        if (received > limit) throw bodyTooLarge(limit);
        holdBytes(received);
      } catch (refusal) {
        done(refusal as Error);
        return;
      }
      done(null, chunk);
    },
  });
  const drop = (): void => void body.destroy(signal.reason as Error);
  body.once('close', () => {
    req.unpipe(body);
    signal.removeEventListener('abort', drop);
  });
  signal.addEventListener('abort', drop);
  req.once('close', () => {
    if (!req.complete) body.destroy(brokenOff());
  });
  req.pipe(body);
  if (signal.aborted) drop();
  return body;
}

/**
 * The request's body whole, past no stream of its own: this is the way of nearly every request.
 * @throws NearvoteError as `openBody`
 */
export async function readBody(incoming: Incoming): Promise<Buffer> {
  const { req, limit, signal, holdBytes } = incoming;
  admit(incoming);
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let received = 0;
    const settle = (error: unknown): void => {
      req.off('data', keep).off('end', finish).off('close', breakOff);
      signal.removeEventListener('abort', drop);
      if (error === undefined) {
        resolve(joined(chunks));
        return;
      }
      req.pause();
      reject(error instanceof Error ? error : new Error('reading failed', { cause: error }));
    };
    const keep = (chunk: Buffer): void => {
      received += chunk.length;
      try {
        if (received > limit) throw bodyTooLarge(limit);
        holdBytes(received);
        chunks.push(chunk);
      } catch (refusal) {
        settle(refusal);
      }
    };
    const finish = (): void => settle(undefined);
    const breakOff = (): void => settle(brokenOff());
    const drop = (): void => settle(signal.reason);
    req.on('data', keep).once('end', finish).once('close', breakOff);
    signal.addEventListener('abort', drop);
    if (signal.aborted) drop();
    else if (req.destroyed) breakOff();
  });
}

/** The chunks as one buffer, copied only where there are several. */
export function joined(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}
