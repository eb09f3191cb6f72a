import { createHash, timingSafeEqual } from 'node:crypto';

import type { Request, RequestHandler } from 'express';
import { ipKeyGenerator, rateLimit, type Store } from 'express-rate-limit';

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

/** What `requireKey` is told where an API key does not do. */
export const adminKeyWords = 'the admin key';

/** Lets pass what presents a key. @throws NearvoteError `unauthorized`, which says what key is needed */
export function requireKey(keyring: Keyring, what = 'a valid key'): RequestHandler {
  return (req, res, next) => {
    if (keyring.find(req) === undefined) {
      res.setHeader('WWW-Authenticate', 'Bearer realm="nearvote"');
      throw new NearvoteError(
        'unauthorized',
        `Expected ${what} in Authorization: Bearer or X-API-Key but received ` +
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

export interface RateLimitOptions {
  readonly perMinute: number;
  /** Who presents a key is counted by it, whoever does not by address. */
  readonly keyring: Keyring | undefined;
  /** Clients counted at once; past them the one longest known is forgotten. 100,000 unless told. */
  readonly maxClients?: number | undefined;
  /** Milliseconds since 1970. */
  readonly now?: (() => number) | undefined;
}

const windowMs = 60_000;

/** Lets a client pass `perMinute` times a minute. @throws NearvoteError `rate_limited`, with Retry-After */
export function createRateLimit(options: RateLimitOptions): RequestHandler {
  const { perMinute, keyring, maxClients = 100_000, now = Date.now } = options;
  return rateLimit({
    windowMs,
    limit: perMinute,
    standardHeaders: 'draft-8',
    legacyHeaders: false,
    store: createBoundedStore(maxClients, now),
    keyGenerator: (req) => clientOf(req, keyring),
    // Its checks are for misuse that the lines above rule out; they would write to the console.
    validate: false,
    handler: (_req, _res, next) => {
      next(new NearvoteError('rate_limited', `Expected at most ${perMinute} requests a minute`));
    },
  });
}

function clientOf(req: Request, keyring: Keyring | undefined): string {
  const key = keyring?.find(req);
  // An IPv6 client owns a whole /56 of addresses.
  return key === undefined ? `address ${ipKeyGenerator(req.ip ?? 'unknown')}` : `key ${key}`;
}

/** The store that comes with express-rate-limit grows with every address that was seen. */
function createBoundedStore(maxClients: number, now: () => number): Store {
  // In the order of their windows: the first ends first.
  const clients = new Map<string, { totalHits: number; resetTime: Date }>();
  return {
    localKeys: true,
    increment(client) {
      const known = clients.get(client);
      if (known !== undefined && known.resetTime.getTime() > now()) {
        known.totalHits += 1;
        return known;
      }
      clients.delete(client);
      const fresh = { totalHits: 1, resetTime: new Date(now() + windowMs) };
      clients.set(client, fresh);
      if (clients.size > maxClients) {
        for (const oldest of clients.keys()) {
          clients.delete(oldest);
          break;
        }
      }
      return fresh;
    },
    decrement(client) {
      const known = clients.get(client);
      if (known !== undefined) known.totalHits -= 1;
    },
    resetKey: (client) => void clients.delete(client),
  };
}
