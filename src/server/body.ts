import type { IncomingMessage, ServerResponse } from 'node:http';
import { Transform, type Readable } from 'node:stream';

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

/**
 * The request's body as a stream that fails past `limit` bytes, and asks a client that waits for `100 Continue` to go on.
 * Destroying it leaves the socket open, so that the client can still be answered; body-parser and multer would read a
 * refused body to its end first.
 * @throws NearvoteError `body_too_large`, `media_type_unsupported` for a compressed body
 */
export function openBody(req: IncomingMessage, res: ServerResponse, limit: number): Readable {
  const encoding = req.headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') {
    throw new NearvoteError(
      'media_type_unsupported',
      `Expected a body without Content-Encoding but received ${quoted(encoding)}`,
    );
  }
  const announced = req.headers['content-length'];
  if (announced !== undefined && Number(announced) > limit) throw bodyTooLarge(limit);
  if (req.headers.expect?.toLowerCase() === '100-continue') res.writeContinue();

  let received = 0;
  const body = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      received += chunk.length;
      if (received > limit) done(bodyTooLarge(limit));
      else done(null, chunk);
    },
  });
  body.once('close', () => req.unpipe(body));
  req.once('close', () => {
    if (!req.complete)
      body.destroy(new NearvoteError('client_gone', 'Expected the whole body but received a part'));
  });
  req.pipe(body);
  return body;
}

/** Reads a body from `openBody` whole. */
export async function collect(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk as Buffer);
  return joined(chunks);
}

/** The chunks as one buffer, copied only where there are several. */
export function joined(chunks: readonly Buffer[]): Buffer {
  const [first] = chunks;
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks);
}
