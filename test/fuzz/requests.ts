import fc from 'fast-check';

import { applyDamage, damage } from './mutate.js';
import type { SeedImage } from './seed-images.js';

/** One request, byte for byte. */
export interface FuzzRequest {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly bytes: Buffer;
  /**
   * Whether the server gets to see a whole request and owes an answer; it does not where the client announces more
   * than it sends. `unknown` where the head itself is damaged.
   */
  readonly whole: 'yes' | 'no' | 'unknown';
}

type Headers = readonly (readonly [string, string])[];

interface Parts {
  readonly method?: string;
  readonly target: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** A request whose framing is right: Content-Length is the body's. */
function requestOf({ method = 'POST', target, headers, body }: Parts): FuzzRequest {
  const all: Headers = [['Host', 'fuzz'], ...headers, ['Content-Length', String(body.length)]];
  const head = headText(`${method} ${target} HTTP/1.1`, all);
  return { method, target, bytes: Buffer.concat([head, body]), whole: 'yes' };
}

function headText(line: string, headers: Headers): Buffer {
  return Buffer.from(`${[line, ...headers.map((pair) => pair.join(': '))].join('\r\n')}\r\n\r\n`, 'latin1');
}

const goodTarget = fc.constantFrom(
  '/classify',
  '/classify?k=1',
  '/classify?vote=majority&neighbours=0',
  '/embed',
);

/** Every kind of request; each is built from the bytes of real images. */
export function fuzzRequest(seeds: readonly SeedImage[]): fc.Arbitrary<FuzzRequest> {
  const seed = fc.constantFrom(...seeds);
  const damaged = damagedImage(seeds);
  return fc.oneof(
    { weight: 50, arbitrary: rawImage(damaged) },
    { weight: 8, arbitrary: damagedInForm(damaged) },
    { weight: 16, arbitrary: multipartFraming(seed) },
    { weight: 4, arbitrary: oddParts(seed) },
    { weight: 8, arbitrary: jsonBody(seed, damaged) },
    { weight: 4, arbitrary: oddTarget(seed) },
    { weight: 4, arbitrary: oddHeaders(seed) },
    { weight: 2, arbitrary: brokenOff(seed) },
    { weight: 2, arbitrary: damagedHead(seed) },
  );
}

interface DamagedImage {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

function damagedImage(seeds: readonly SeedImage[]): fc.Arbitrary<DamagedImage> {
  const files = seeds.map(({ bytes }) => bytes);
  return fc
    .tuple(fc.constantFrom(...seeds), damage)
    .map(([{ mediaType, bytes }, harm]) => ({ mediaType, bytes: applyDamage(bytes, harm, files) }));
}

function rawImage(image: fc.Arbitrary<DamagedImage>): fc.Arbitrary<FuzzRequest> {
  const mediaType = fc.option(
    fc.constantFrom(
      ...['image/jpeg', 'image/png', 'image/x-anything', 'IMAGE/PNG; q=1', 'image/svg+xml', 'image/'],
      ...['text/plain', 'application/octet-stream', 'application/json', 'multipart/form-data', 'a', ''],
    ),
    { freq: 8 },
  );
  return fc.tuple(goodTarget, image, mediaType).map(([target, { bytes, ...file }, told]) =>
    // The right type wherever none is drawn, seven times in eight.
    requestOf({ target, headers: [['Content-Type', told ?? file.mediaType]], body: bytes }),
  );
}

interface Part {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const boundary = 'edge';

function formOf(parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap(({ name, bytes }) => [
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n`,
    bytes,
    '\r\n',
  ]);
  return Buffer.concat([...pieces, `--${boundary}--\r\n`].map((piece) => Buffer.from(piece)));
}

const formType = `multipart/form-data; boundary=${boundary}`;

function damagedInForm(image: fc.Arbitrary<DamagedImage>): fc.Arbitrary<FuzzRequest> {
  return fc.tuple(goodTarget, fc.array(image, { minLength: 1, maxLength: 3 })).map(([target, images]) => {
    const name = images.length === 1 ? 'image' : 'images';
    const body = formOf(images.map(({ bytes }) => ({ name, bytes })));
    return requestOf({ target, headers: [['Content-Type', formType]], body });
  });
}

/** What multipart parsers trip over, put between a form's first bytes and its last. */
const framingPieces = [
  ...['\r\n', '\n', '\r', '\0', '--', `--${boundary}`, `--${boundary}\r\n`, `\r\n--${boundary}--\r\n`],
  ...[`\r\n--${boundary}\r\n\r\n`, 'Content-Disposition: form-data; name="images"; filename="b"\r\n\r\n'],
  ...[
    'Content-Disposition: form-data\r\n',
    'Content-Disposition: attachment; name=image\r\n',
    'name="image',
    '"',
  ],
  ...["filename*=UTF-8''%ff%zz; ", 'filename*=x; ', 'filename="../../etc/passwd"; ', 'name="__proto__"; '],
  ...[
    'name="constructor"; ',
    'name="images[0][a]"; ',
    'Content-Transfer-Encoding: base64\r\n',
    ': \r\n',
    ' folded\r\n',
  ],
  ...[
    'Content-Type: multipart/mixed; boundary=inner\r\n\r\n--inner\r\n\r\n--inner--',
    'Content-Length: 999999\r\n',
  ],
  ...[`X-Long: ${'a'.repeat(20_000)}\r\n`, 'X: y\r\n'.repeat(100)],
];

function multipartFraming(seed: fc.Arbitrary<SeedImage>): fc.Arbitrary<FuzzRequest> {
  const edit = fc.oneof(
    fc.record({
      piece: fc.constantFrom(...framingPieces),
      at: fc.nat({ max: 150 }),
      over: fc.nat({ max: 40 }),
    }),
    fc.record({
      piece: fc.constantFrom(...framingPieces),
      at: fc.nat({ max: 2000 }),
      over: fc.nat({ max: 400 }),
    }),
  );
  const mediaType = fc.oneof(
    { weight: 6, arbitrary: fc.constant(formType) },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        ...['multipart/form-data', 'multipart/form-data; boundary=', 'multipart/form-data; boundary="edge"'],
        ...['multipart/form-data; boundary=other', `multipart/form-data; boundary=${'e'.repeat(5000)}`],
        ...[
          'multipart/mixed; boundary=edge',
          'multipart/form-data; boundary=edge; boundary=two',
          'multipart/',
        ],
        ...[
          'multipart/form-data; charset=utf-99; boundary=edge',
          'multipart/form-data; boundary*=x; boundary=\\"',
        ],
      ),
    },
  );
  const names = fc.array(fc.constantFrom('image', 'images', 'images'), { minLength: 1, maxLength: 3 });
  const style = fc.constantFrom('as it is', 'as it is', 'as it is', 'LF only', 'unterminated', 'damaged');
  return fc
    .tuple(goodTarget, fc.tuple(seed, names, mediaType), fc.array(edit, { maxLength: 3 }), style, damage)
    .map(([target, [{ bytes }, fields, type], edits, look, harm]) => {
      let body = formOf(fields.map((name) => ({ name, bytes })));
      for (const { piece, at, over } of edits) {
        const from = at % body.length;
        body = Buffer.concat([body.subarray(0, from), Buffer.from(piece), body.subarray(from + over)]);
      }
      if (look === 'LF only') body = Buffer.from(body.toString('latin1').replaceAll('\r\n', '\n'), 'latin1');
      if (look === 'unterminated') body = body.subarray(0, -7);
      if (look === 'damaged') body = applyDamage(body, harm, [bytes]);
      return requestOf({ target, headers: [['Content-Type', type]], body });
    });
}

/** Whole forms of many parts, wrong names, empty and oversized files. */
function oddParts(seed: fc.Arbitrary<SeedImage>): fc.Arbitrary<FuzzRequest> {
  const name = fc.oneof(
    fc.constantFrom(
      'image',
      'images',
      'images',
      'images',
      '',
      'file',
      '__proto__',
      'toString',
      'a'.repeat(300),
    ),
    fc.string({ maxLength: 20 }).map((text) => text.replaceAll(/["\\]/g, '')),
  );
  const size = fc.constantFrom(undefined, undefined, undefined, 0, 1, 250_000);
  const part = fc.tuple(name, seed, size).map(([field, { bytes }, wanted]) => ({
    name: field,
    bytes: wanted === undefined ? bytes : Buffer.alloc(wanted, bytes),
  }));
  return fc
    .tuple(
      goodTarget,
      fc.oneof(fc.array(part, { maxLength: 6 }), fc.array(part, { minLength: 7, maxLength: 40 })),
    )
    .map(([target, parts]) =>
      requestOf({ target, headers: [['Content-Type', formType]], body: formOf(parts) }),
    );
}

function jsonBody(
  seed: fc.Arbitrary<SeedImage>,
  image: fc.Arbitrary<DamagedImage>,
): fc.Arbitrary<FuzzRequest> {
  const base64 = fc.oneof(image, seed).map(({ bytes }) => bytes.toString('base64'));
  const value = fc.oneof(
    base64,
    base64.map((text) => text.slice(1)),
    fc.constantFrom(
      '',
      '=',
      '====',
      'a b c=',
      'data:image/png;base64,AAAA',
      'http://127.0.0.1/a.png',
      'AA==AA==',
    ),
    fc.jsonValue({ maxDepth: 3 }),
  );
  const nested = fc
    .tuple(fc.constantFrom('[', '{"image":', '{"images":['), fc.integer({ min: 1, max: 20_000 }))
    .map(([opening, depth]) => opening.repeat(depth));
  const text = fc.oneof(
    { weight: 4, arbitrary: value.map((one) => JSON.stringify({ image: one })) },
    {
      weight: 4,
      arbitrary: fc.array(value, { maxLength: 10 }).map((all) => JSON.stringify({ images: all })),
    },
    { weight: 1, arbitrary: fc.tuple(value, value).map(([a, b]) => JSON.stringify({ image: a, images: b })) },
    { weight: 1, arbitrary: value.map((one) => `{"image":"AA==","__proto__":${JSON.stringify(one)}}`) },
    { weight: 1, arbitrary: fc.dictionary(fc.string(), fc.jsonValue()).map((all) => JSON.stringify(all)) },
    { weight: 1, arbitrary: fc.json() },
    { weight: 1, arbitrary: nested },
  );
  const harmed = fc.tuple(text, fc.option(damage, { freq: 4 }));
  return fc.tuple(goodTarget, harmed).map(([target, [json, harm]]) => {
    const whole = Buffer.from(json);
    const body = harm === null ? whole : applyDamage(whole, harm, [whole]);
    return requestOf({ target, headers: [['Content-Type', 'application/json']], body });
  });
}

function oddTarget(seed: fc.Arbitrary<SeedImage>): fc.Arbitrary<FuzzRequest> {
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
function oddHeaders(seed: fc.Arbitrary<SeedImage>): fc.Arbitrary<FuzzRequest> {
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
function brokenOff(seed: fc.Arbitrary<SeedImage>): fc.Arbitrary<FuzzRequest> {
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
      const head = `POST ${target} HTTP/1.1\r\nHost: fuzz\r\nContent-Type: ${told ?? mediaType}\r\n${claim}\r\n\r\n`;
      return { method: 'POST', target, bytes: Buffer.concat([Buffer.from(head), sent]), whole: 'no' };
    });
}

/** Bytes of the request line and headers changed, as a broken proxy would. */
function damagedHead(seed: fc.Arbitrary<SeedImage>): fc.Arbitrary<FuzzRequest> {
  return fc.tuple(goodTarget, seed, damage).map(([target, { mediaType, bytes }, harm]) => {
    const whole = requestOf({ target, headers: [['Content-Type', mediaType]], body: bytes });
    const head = whole.bytes.subarray(0, -bytes.length);
    return {
      ...{ ...whole, whole: 'unknown' },
      bytes: Buffer.concat([applyDamage(head, { ...harm, mended: false }, [bytes]), bytes]),
    };
  });
}
