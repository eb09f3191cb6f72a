import fc from 'fast-check';

import { damagedImage, type DamagedImage } from './damaged-image.js';
import { damagedInForm, multipartFraming, oddParts } from './form-requests.js';
import { applyDamage, damage } from './mutate.js';
import { brokenOff, damagedHead, oddHeaders, oddTarget } from './odd-http.js';
import { goodTarget, requestOf, type FuzzRequest } from './request.js';
import type { SeedImage } from './seed-images.js';

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
