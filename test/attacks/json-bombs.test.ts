import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { readJsonImages } from '../../src/server/json-images.js';
import { drawColour } from '../server/colour-classifier.js';
import { expectProblem, startTestServer, testLoad, type TestServer } from '../server/test-server.js';

let server: TestServer;
let red: string;
const limits = { maxImages: 4, maxImageBytes: 10_000_000, maxBodyBytes: 64_000_000 };
beforeAll(async () => {
  server = await startTestServer({ limits, load: { ...testLoad, maxInflightBytes: 256_000_000 } });
  red = (await drawColour('red')).toString('base64');
});
afterEach(() => server.expectStillServing());
afterAll(() => server.close());

const megabytes = 1_000_000;

/** What reading it says, in how many milliseconds of the event loop. */
function timeRefusal(text: string): {
  readonly code: unknown;
  readonly ms: number;
  readonly heapBytes: number;
} {
  const bytes = Buffer.from(text);
  const heapBefore = process.memoryUsage().heapUsed;
  const started = performance.now();
  let code: unknown;
  try {
    const { image, images = [] } = readJsonImages(bytes, limits);
    code = [image, ...images].map((each) => Reflect.get(Object(each) as object, 'code') as unknown).join();
  } catch (error) {
    code = Reflect.get(Object(error) as object, 'code');
  }
  const ms = performance.now() - started;
  return { code, ms, heapBytes: process.memoryUsage().heapUsed - heapBefore };
}

describe('a bomb of JSON', () => {
  // JSON.parse takes 5 to 10 s and 2 GB for the first two, on a machine where this reader takes 2 ms.
  it.each<[string, () => string, string]>([
    ['of 20 million arrays in arrays', () => `{"images":${'['.repeat(20 * megabytes)}`, 'request_malformed'],
    [
      'of arrays in a good array',
      () => `{"images":["AAAA",${'['.repeat(20 * megabytes)}`,
      'request_malformed',
    ],
    ['of arrays at the top', () => '['.repeat(20 * megabytes), 'request_malformed'],
    ['of objects in objects', () => '{"image":'.repeat(2 * megabytes), 'request_malformed'],
    ['of 10 million numbers', () => `{"images":[${'1,'.repeat(10 * megabytes)}1]}`, 'request_malformed'],
    ['of 7 million empty strings', () => `{"images":[${'"",'.repeat(7 * megabytes)}""]}`, 'too_many_images'],
    ['of a million keys', () => `{${'"a":1,'.repeat(megabytes)}"b":1}`, 'field_unexpected'],
    ['of a million right keys', () => `{${'"image":"",'.repeat(megabytes)}"image":""}`, 'field_unexpected'],
    ['of one key of 20 MB', () => `{"${'k'.repeat(20 * megabytes)}":1}`, 'field_unexpected'],
    ['of a number of 20 MB', () => `{"image":${'1'.repeat(20 * megabytes)}}`, 'request_malformed'],
    ['of white space', () => `{${' '.repeat(20 * megabytes)}"image":""}`, 'request_malformed'],
    ['of a string that never ends', () => `{"image":"${'A'.repeat(20 * megabytes)}`, 'request_malformed'],
    ['of escaped quotes', () => `{"image":"${'\\"'.repeat(10 * megabytes)}"}`, 'request_malformed'],
    ['of escaped letters', () => `{"image":"${'\\u0041'.repeat(8 * megabytes)}"}`, 'image_too_large'],
    ['of backslashes', () => `{"image":"${'\\'.repeat(20 * megabytes)}"}`, 'request_malformed'],
  ])('%s costs milliseconds', (_what, draw, code) => {
    const refusal = timeRefusal(draw());
    expect(refusal.code).toBe(code);
    // Far above what it takes, for machines that are busy with other tests.
    expect(refusal.ms).toBeLessThan(500);
    expect(refusal.heapBytes).toBeLessThan(60 * megabytes);
  });

  it('is answered over HTTP while other requests are', async () => {
    const bomb = server.ask('/classify', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: `{"images":${'['.repeat(20 * megabytes)}`,
    });
    let longest = 0;
    let last = performance.now();
    const heartbeat = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 5);
    expectProblem(await bomb, 400, 'request_malformed');
    clearInterval(heartbeat);
    // The client's 20 MB are made and sent in this process too.
    expect(longest).toBeLessThan(1000);
  });
});

describe('JSON that two readers could read differently', () => {
  const ask = (body: string | Uint8Array<ArrayBuffer>) =>
    server.ask('/classify', { method: 'POST', headers: { 'content-type': 'application/json' }, body });

  it('is refused where a key is there twice: a proxy may have looked at the other', async () => {
    for (const body of [
      `{"image":"${red}","image":"${red}"}`,
      `{"images":["${red}"],"\\u0069mages":["${red}"]}`,
      `{"image":"${red}","\\u0069mage":"x"}`,
    ]) {
      expectProblem(await ask(body), 400, 'field_unexpected');
    }
  });

  it('is read alike however it is escaped', async () => {
    const escapedSlash = red.replaceAll('/', '\\/').replaceAll('+', '\\u002b').replaceAll('=', '\\u003D');
    const all = Array.from(red, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`).join(
      '',
    );
    for (const text of [escapedSlash, `\\u00${red.charCodeAt(0).toString(16)}${red.slice(1)}`]) {
      expect((await ask(`{"im\\u0061ge" :\t"${text}"}\r\n`)).status).toBe(200);
    }
    // Of a picture this small it is not too much.
    expect((await ask(`\ufeff{"image":"${all}"}`)).status).toBe(200);
  });

  it.each([
    ['a byte that is not UTF-8', Uint8Array.from(Buffer.from('{"image":"AA\xffA"}', 'latin1'))],
    ['half a surrogate as an escape', '{"image":"\\ud800"}'],
    ['a letter outside of base64', '{"image":"Ａ===" }'],
    ['a NUL', '{"image":"AA\0A"}'],
    ['an escape that is none', '{"image":"AA\\xA"}'],
    ['a comma at the end', '{"image":"AAAA",}'],
    ['an array with a comma at the end', '{"images":["AAAA",]}'],
    ['something after the end', '{"image":"AAAA"}{}'],
    ['a comment', '{"image":/* */"AAAA"}'],
    ['a key without quotes', '{image:"AAAA"}'],
    ['a quote of another kind', "{'image':'AAAA'}"],
    ['no colon', '{"image" "AAAA"}'],
    ['no comma', '{"images":["AAAA" "AAAA"]}'],
    ['a word that begins well', '{"image":nullify}'],
    ['a number with a leading zero', '{"images":[012]}'],
    ['an array in place of an image', '{"images":["AAAA",["AAAA"]]}'],
  ])('is request_malformed where it has %s', async (_what, body) => {
    expectProblem(await ask(body), 400, 'request_malformed');
  });
});
