import fc from 'fast-check';

import type { DamagedImage } from './damaged-image.js';
import { applyDamage, damage } from './mutate.js';
import { goodTarget, requestOf, type FuzzRequest } from './request.js';
import type { SeedImage } from './seed-images.js';

interface Part {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const boundary = 'edge';

export function formOf(parts: readonly Part[]): Buffer {
  const pieces = parts.flatMap(({ name, bytes }) => [
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n`,
    bytes,
    '\r\n',
  ]);
  return Buffer.concat([...pieces, `--${boundary}--\r\n`].map((piece) => Buffer.from(piece)));
}

export const formType = `multipart/form-data; boundary=${boundary}`;

export function damagedInForm(image: fc.Arbitrary<DamagedImage>): fc.Arbitrary<FuzzRequest> {
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

export function multipartFraming(seed: fc.Arbitrary<SeedImage>): fc.Arbitrary<FuzzRequest> {
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
export function oddParts(seed: fc.Arbitrary<SeedImage>): fc.Arbitrary<FuzzRequest> {
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
