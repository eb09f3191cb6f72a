import { createHash, timingSafeEqual } from 'node:crypto';

import type { Request, RequestHandler } from 'express';

import { NearvoteError } from '../domain/errors.js';

/** Keys of which only digests are kept. */
export interface Keyring {
  /** Which key the request presents, from 0; compared with every one in constant time. */
  find(req: Request): number | undefined;
}

export function createKeyring(keys: readonly string[]): Keyring {
  const digests = keys.map(digestOf);
  return {
    find(req) {
      const presented = presentedKey(req);
      if (presented === undefined) return undefined;
      const digest = digestOf(presented);
      let found: number | undefined;
      // No early end: the time must not tell which key was nearly right.
      for (const [i, known] of digests.entries()) if (timingSafeEqual(known, digest)) found = i;
      return found;
    },
  };
}

/** Lets pass what presents a key. @throws NearvoteError `unauthorized` */
export function requireKey(keyring: Keyring): RequestHandler {
  return (req, res, next) => {
    if (keyring.find(req) === undefined) {
      res.setHeader('WWW-Authenticate', 'Bearer realm="nearvote"');
      throw new NearvoteError(
        'unauthorized',
        'Expected a valid key in Authorization: Bearer or X-API-Key but received ' +
          (presentedKey(req) === undefined ? 'none' : 'another'),
      );
    }
    next();
  };
}

function presentedKey(req: Request): string | undefined {
  const [, bearer] = /^Bearer +(\S+) *$/i.exec(req.get('Authorization') ?? '') ?? [];
  return bearer ?? req.get('X-API-Key');
}

/** Of one length whatever the key's, as timingSafeEqual needs. */
function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}
