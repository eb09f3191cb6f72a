import fc from 'fast-check';

import { formOf, formType } from './form-requests.js';
import { applyDamage, damage } from './mutate.js';
import { goodTarget, requestOf, type FuzzRequest } from './request.js';
import type { SeedImage } from './seed-images.js';

export function oddTarget(seed: fc.Arbitrary<SeedImage>): fc.Arbitrary<FuzzRequest> {
  const value = fc.oneof(
    fc.constantFrom(
      '0',
      '1',
      '3',
      '4',
      '-1',
      '1e9',
      '999999999',
      '9'.repeat(400),
      '0x1',
      ' 1',
      '',
      'majority',
      '%00',
    ),
    fc.constantFrom('%', '%zz', '%ff', '%f0%9f%98%80', 'a'.repeat(9000), '[]', '1&k=2', '__proto__'),
    fc.webQueryParameters(),
  );
  const name = fc.constantFrom('k', 'vote', 'neighbours', 'k[]', 'k[a]', '__proto__', 'K', 'constructor', '');
  const query = fc
    .array(fc.tuple(name, value), { maxLength: 4 })
    .map((pairs) => pairs.map((pair) => pair.join('=').replaceAll(/[ #]/g, '+')).join('&'));
  const path = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom('/classify', '/embed') },
    {
      weight: 1,
      arbitrary: fc.oneof(
        fc.constantFrom(
          '/classify/',
          '//classify',
          '/CLASSIFY',
          '/%63lassify',
          '/docs/../classify',
          '/docs/%2e%2e/a',
        ),
        fc.constantFrom(
          '/docs/..%2f..%2fpackage.json',
          '/%',
          '/%ff',
          '/docs/%00',
          '*',
          'http://fuzz/classify',
          '/;a',
        ),
        fc.webPath().map((text) => `/${text}`),
      ),
    },
  );
  const method = fc.oneof(
    { weight: 4, arbitrary: fc.constant('POST') },
    {
      weight: 1,
      arbitrary: fc.constantFrom('GET', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND'),
    },
  );
  return fc.tuple(method, path, query, seed).map(([verb, where, what, { mediaType, bytes }]) =>
    requestOf({
      ...{ method: verb, target: what === '' ? where : `${where}?${what}` },
      ...{ headers: [['Content-Type', mediaType]], body: bytes },
    }),
  );
}

/** Whole requests with headers that a careful client would not send. */
export function oddHeaders(seed: fc.Arbitrary<SeedImage>): fc.Arbitrary<FuzzRequest> {
  const header = fc.constantFrom<readonly [string, string]>(
    ...([
      ['Expect', '100-continue'],
      ['Expect', '200-ok'],
      ['Content-Encoding', 'gzip'],
      ['Content-Encoding', 'identity'],
      ['Upgrade', 'websocket'],
      ['Connection', 'Upgrade'],
      ['Connection', 'keep-alive, close'],
      ['Host', 'two'],
      ['Cookie', 'a'.repeat(8000)],
      ['X-Long', 'a'.repeat(17_000)],
      ['X-Request-Id', '../../../etc/passwd'],
      ['Accept', 'text/html'],
      ['Range', 'bytes=0-1,5-'],
      ['If-None-Match', '*'],
      ['X-Forwarded-For', '\xff\xfe'],
      ['Content-Type', 'application/json'],
      ['__proto__', 'x'],
      ['Authorization', 'Bearer x'],
      ['Trailer', 'Content-Length'],
    ] as const),
  );
  const many = fc.tuple(header, fc.constantFrom(1, 1, 1, 2, 60, 300));
  return fc
    .tuple(goodTarget, fc.array(many, { minLength: 1, maxLength: 4 }), seed)
    .map(([target, drawn, { mediaType, bytes }]) => {
      const extra = drawn.flatMap(([pair, times]) => Array.from({ length: times }, () => pair));
      return requestOf({ target, headers: [['Content-Type', mediaType], ...extra], body: bytes });
    });
}

/** The client promises more than it sends, then closes its side; or its chunks are not chunks. */
export function brokenOff(seed: fc.Arbitrary<SeedImage>): fc.Arbitrary<FuzzRequest> {
  const framing = fc.constantFrom(
    ...['Content-Length: 99999', 'Transfer-Encoding: chunked', 'Content-Length: 5\r\nContent-Length: 6'],
    ...[
      'Content-Length: -1',
      'Content-Length: 1e3',
      'Transfer-Encoding: gzip, chunked',
      'Transfer-Encoding: nonsense',
    ],
    ...['Transfer-Encoding: chunked\r\nContent-Length: 3', 'Content-Length: 99999999999999999999'],
  );
  const type = fc.option(fc.constant(formType), { freq: 2 });
  return fc
    .tuple(goodTarget, framing, seed, fc.boolean(), type)
    .map(([target, claim, { mediaType, bytes }, chunked, told]) => {
      const body = told === null ? bytes : formOf([{ name: 'image', bytes }]);
      const sent = chunked ? Buffer.concat([Buffer.from(`${body.length.toString(16)}\r\n`), body]) : body;
      const head = `POST ${target} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${told ?? mediaType}\r\n${claim}\r\n\r\n`;
      return { method: 'POST', target, bytes: Buffer.concat([Buffer.from(head), sent]), whole: 'no' };
    });
}

/** Bytes of the request line and headers changed, as a broken proxy would. */
export function damagedHead(seed: fc.Arbitrary<SeedImage>): fc.Arbitrary<FuzzRequest> {
  return fc.tuple(goodTarget, seed, damage).map(([target, { mediaType, bytes }, harm]) => {
    const whole = requestOf({ target, headers: [['Content-Type', mediaType]], body: bytes });
    const head = whole.bytes.subarray(0, -bytes.length);
    return {
      ...{ ...whole, whole: 'unknown' },
      bytes: Buffer.concat([applyDamage(head, { ...harm, mended: false }, [bytes]), bytes]),
    };
  });
}
