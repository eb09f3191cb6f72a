import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import type { Request, Response } from 'express';
import { createCancellation } from '../domain/cancellation.js';
import { NearvoteError } from '../domain/errors.js';
import { quoted } from '../domain/quoted.js';
import { writing } from '../files/durable.js';
import { malformed, receive } from './body.js';
import { allowLongBody } from './exchange.js';

interface BundleBody {
  readonly req: Request;
  readonly res: Response;
  /** The most that it may have, in bytes. */
  readonly limit: number;
  /** A client that sends nothing for this long is given up. */
  readonly stallMs: number;
}

/**
 * Writes the body of a request into a file, as fast as the disk takes it and the client sends it.
 * @throws NearvoteError `body_too_large`, `client_gone` where it was cut off, `timed_out` where it stood still,
 * `output_unwritable`, `media_type_unsupported`
 */
export function saveBody(path: string, { req, res, limit, stallMs }: BundleBody): Promise<void> {
  checkMediaType(req);
  return writing(path, async () => {
    const { signal, cancel } = createCancellation();
    const stand = new NearvoteError(
      'timed_out',
      `Expected more of the bundle but nothing came in ${stallMs} ms`,
    );
    const file = createWriteStream(path, { flags: 'wx', flush: true });
    const written = finished(file);
    // Whoever waits for the body is told first.
    written.catch(() => undefined);
    let timer = setTimeout(() => cancel(stand), stallMs);
    const goOn = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => cancel(stand), stallMs);
    };
    allowLongBody(req);
    try {
      await receive({ req, res, limit, signal, holdBytes: () => undefined }, (fail) => {
        file.once('error', fail);
        file.on('drain', () => {
          goOn();
          req.resume();
        });
        return (piece) => {
          goOn();
          if (file.write(piece)) return;
          // The client is not to blame for a slow disk.
          clearTimeout(timer);
          req.pause();
        };
      });
      file.end();
      await written;
    } finally {
      clearTimeout(timer);
      file.destroy();
      await written.catch(() => undefined);
    }
  });
}

function checkMediaType(req: Request): void {
  const mediaType = req.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (mediaType === 'application/x-tar' || mediaType === 'application/octet-stream') return;
  throw new NearvoteError(
    'media_type_unsupported',
    `Expected a bundle as application/x-tar but received ${mediaType === undefined ? 'no content type' : quoted(mediaType)}`,
  );
}

/**
 * The sha256 that `Repr-Digest` or `Content-Digest` says a body has, in hex; other digests are passed over (RFC 9530).
 * @throws NearvoteError `request_malformed` for one that is none
 */
export function digestOf({ headers }: Pick<Request, 'headers'>): string | undefined {
  for (const name of ['repr-digest', 'content-digest']) {
    const [, value] = /(?:^|,)\s*sha-256\s*=\s*([^,]*)/.exec(String(headers[name] ?? '')) ?? [];
    if (value === undefined) continue;
    const [, base64] = /^:([A-Za-z0-9+/]{43}=):\s*$/.exec(value) ?? [];
    if (base64 !== undefined) return Buffer.from(base64, 'base64').toString('hex');
    throw malformed(`Expected ${name} to be sha-256=:BASE64: of 32 bytes but received ${quoted(value)}`);
  }
  return undefined;
}

export const reprDigest = (sha256: string): string =>
  `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`;
