import { gzipSync } from 'node:zlib';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { decisionSchema, decisionsSchema } from '../../src/server/schemas.js';
import { drawColour } from './colour-classifier.js';
import {
  expectProblem,
  multipart,
  startTestServer,
  testLimits,
  type Answer,
  type TestServer,
} from './test-server.js';

let server: TestServer;
let red: Buffer;
let blue: Buffer;

beforeAll(async () => {
  server = await startTestServer();
  red = await drawColour('red');
  blue = await drawColour('blue');
});
afterEach(() => server.expectStillServing());
afterAll(() => server.close());

const post = (body: RequestInit['body'], type?: string, path = '/classify'): Promise<Answer> =>
  server.ask(path, {
    method: 'POST',
    body: body ?? null,
    headers: type === undefined ? {} : { 'content-type': type },
  });
const postParts = (parts: Parameters<typeof multipart>[0]): Promise<Answer> =>
  post(multipart(parts), 'multipart/form-data; boundary=edge');
const postJson = (value: unknown): Promise<Answer> =>
  post(typeof value === 'string' ? value : JSON.stringify(value), 'application/json');

/** Head of a raw request; the pieces of the body follow. */
const head = (...lines: string[]): string =>
  ['POST /classify HTTP/1.1', 'Host: test', ...lines, '', ''].join('\r\n');

describe('a good upload', () => {
  it('is classified as multipart, as raw bytes and as JSON alike', async () => {
    const answers = await Promise.all([
      postParts([{ name: 'image', filename: 'photo.png', content: blue }]),
      post(blue, 'image/png'),
      post(blue, 'IMAGE/PNG; charset=binary'),
      postJson({ image: blue.toString('base64') }),
    ]);
    for (const answer of answers) {
      expect(answer.status).toBe(200);
      expect(decisionSchema.parse(answer.body).label).toBe('blue');
    }
  });

  it('of many images is answered in their order, each with a decision or its own error', async () => {
    const answer = await postParts([
      { name: 'images', filename: 'a.png', content: red },
      { name: 'images', filename: 'b.png', content: 'not a picture' },
      { name: 'images', filename: 'c.png', content: '' },
      { name: 'images', filename: 'd.png', content: blue },
    ]);
    expect(answer.status).toBe(200);
    const { results } = decisionsSchema.parse(answer.body);
    expect(results.map((result) => ('error' in result ? result.error.code : result.label))).toEqual([
      'red',
      'image_unsupported',
      'image_empty',
      'blue',
    ]);
  });

  it('of several files names the file of each result, also where its name is no ASCII', async () => {
    const long = `${'x'.repeat(300)}.png`;
    const answer = await postParts([
      { name: 'images', filename: 'жар-птица.png', content: red },
      { name: 'images', filename: 'some/folder/broken.png', content: 'not a picture' },
      { name: 'images', filename: long, content: blue },
    ]);
    expect(decisionsSchema.parse(answer.body).results).toMatchObject([
      { file: 'жар-птица.png', label: 'red' },
      { file: 'broken.png', error: { code: 'image_unsupported' } },
      { file: long.slice(0, 255), label: 'blue' },
    ]);
    expect(await postJson({ images: [red.toString('base64')] })).not.toHaveProperty('body.results.0.file');
  });

  it('of one image is a decision, and of images, be it one, is results: the field decides', async () => {
    const file = { filename: 'a.png', content: red };
    for (const one of [
      await postParts([{ name: 'image', ...file }]),
      await postJson({ image: red.toString('base64') }),
    ]) {
      expect(one.body).toHaveProperty('label');
      expect(one.body).not.toHaveProperty('results');
    }
    for (const several of [
      await postParts([{ name: 'images', ...file }]),
      await postJson({ images: [red.toString('base64')] }),
    ]) {
      expect(several.body).toEqual({ results: [expect.objectContaining({ label: 'red' }) as object] });
    }
  });

  it('of bytes whose type nobody knows is classified by what they are', async () => {
    const answer = await post(blue, 'application/octet-stream');
    expect(decisionSchema.parse(answer.body).label).toBe('blue');
    expectProblem(await post('not a picture', 'application/octet-stream'), 415, 'image_unsupported');
  });

  it('may have the other field without a choice beside it, as Swagger UI sends it', async () => {
    const image = { name: 'image', filename: 'a.png', content: red };
    expect((await postParts([image, { name: 'images', content: '' }])).body).toMatchObject({ label: 'red' });
    const text = await postParts([image, { name: 'images', content: 'x' }]);
    expectProblem(text, 400, 'field_unexpected');
  });

  it('of many images as JSON reports bad base64 in its place', async () => {
    const answer = await postJson({ images: [red.toString('base64'), 'no base64!', ''] });
    expect(answer.status).toBe(200);
    const { results } = decisionsSchema.parse(answer.body);
    expect(results.map((result) => ('error' in result ? result.error.code : result.label))).toEqual([
      'red',
      'request_malformed',
      'image_empty',
    ]);
  });

  it('fills the limits to the last byte and the last image', async () => {
    const largest = Buffer.concat([red, Buffer.alloc(testLimits.maxImageBytes - red.length)]);
    expect((await postParts([{ name: 'image', filename: 'a.png', content: largest }])).status).toBe(200);
    expect((await post(largest, 'image/png')).status).toBe(200);
    expect((await postJson({ image: largest.toString('base64') })).status).toBe(200);
    const four = Array.from({ length: testLimits.maxImages }, () => ({
      name: 'images',
      filename: 'a.png',
      content: red,
    }));
    expect((await postParts(four)).status).toBe(200);
  });

  it('is told to continue when it waits for that', async () => {
    const answer = await server.send(
      head('Content-Type: image/png', `Content-Length: ${red.length}`, 'Expect: 100-continue'),
      red,
    );
    // The interim answer comes first, and has no body.
    expect(answer.status).toBe(100);
  });
});

describe('no image', () => {
  it('in a request without a body is image_missing', async () => {
    expectProblem(await post(undefined), 400, 'image_missing');
  });

  it('in a form without a file is image_missing, whether it has no parts or an empty file input', async () => {
    expectProblem(await postParts([{ name: 'image', filename: '', content: '' }]), 400, 'image_missing');
    expectProblem(await postParts([{ name: 'image', content: '' }]), 400, 'image_missing');
    expectProblem(await postJson({}), 400, 'image_missing');
    expectProblem(await postJson({ images: [] }), 400, 'image_missing');
  });

  it('in an empty file, raw body or string is image_empty', async () => {
    expectProblem(await postParts([{ name: 'image', filename: 'a.jpg', content: '' }]), 400, 'image_empty');
    expectProblem(await post('', 'image/jpeg'), 400, 'image_empty');
    expectProblem(await postJson({ image: '' }), 400, 'image_empty');
  });
});

describe('a wrong field', () => {
  it('is named, with the fields that were expected', async () => {
    const detail = expectProblem(
      await postParts([{ name: 'photo', filename: 'a.png', content: red }]),
      400,
      'field_unexpected',
    );
    expect(detail).toBe('Expected the field image or images but received "photo"');
    expect(expectProblem(await postJson({ photo: 'x' }), 400, 'field_unexpected')).toMatch(/"photo"/);
  });

  it('of text, which curl sends where the @ is forgotten, is named', async () => {
    const detail = expectProblem(
      await postParts([{ name: 'image', content: 'photo.png' }]),
      400,
      'field_unexpected',
    );
    expect(detail).toMatch(/only files.*text field "image"; a file part has a filename/);
    const long = await postParts([{ name: 'image', content: 'x'.repeat(5000) }]);
    expectProblem(long, 400, 'field_unexpected');
  });

  it('beside the right one, or both right ones, are field_unexpected', async () => {
    const image = { name: 'image', filename: 'a.png', content: red };
    expectProblem(await postParts([image, { name: 'k', content: '3' }]), 400, 'field_unexpected');
    const both = await postParts([image, { name: 'images', filename: 'b.png', content: red }]);
    expectProblem(both, 400, 'field_unexpected');
    expectProblem(await postJson({ image: 'AAAA', images: [] }), 400, 'field_unexpected');
    expectProblem(await postJson('{"__proto__": "AAAA"}'), 400, 'field_unexpected');
  });

  it('name of any length or shape is answered', async () => {
    const image = { filename: 'a.png', content: red };
    expectProblem(await postParts([{ name: 'x'.repeat(5000), ...image }]), 400, 'field_unexpected');
    expectProblem(await postParts([{ name: 'a[b][c]', ...image }]), 400, 'field_unexpected');
    expectProblem(await postParts([{ name: '', ...image }]), 400, 'request_malformed');
  });
});

describe('too much', () => {
  it('images, from one too many to 1,000, is too_many_images', async () => {
    for (const count of [testLimits.maxImages + 1, 1000]) {
      const parts = Array.from({ length: count }, () => ({
        name: 'images',
        filename: 'a.png',
        content: 'x',
      }));
      expectProblem(await postParts(parts), 413, 'too_many_images');
      expectProblem(
        await postJson({ images: Array.from({ length: count }, () => 'AAAA') }),
        413,
        'too_many_images',
      );
    }
    const image = { name: 'image', filename: 'a.png', content: red };
    expect(expectProblem(await postParts([image, image]), 413, 'too_many_images')).toMatch(/field images/);
  });

  it('bytes in one image is image_too_large in every form', async () => {
    const large = Buffer.alloc(testLimits.maxImageBytes + 1);
    expectProblem(
      await postParts([{ name: 'image', filename: 'a.png', content: large }]),
      413,
      'image_too_large',
    );
    expectProblem(await post(large, 'image/png'), 413, 'image_too_large');
    expectProblem(await postJson({ image: large.toString('base64') }), 413, 'image_too_large');
  });

  it('bytes in one of many images fails that one alone', async () => {
    const answer = await postParts([
      { name: 'images', filename: 'a.png', content: Buffer.alloc(3 * testLimits.maxImageBytes) },
      { name: 'images', filename: 'b.png', content: red },
    ]);
    const { results } = decisionsSchema.parse(answer.body);
    expect(results.map((result) => ('error' in result ? result.error.code : result.label))).toEqual([
      'image_too_large',
      'red',
    ]);
  });

  it.each(['image/png', 'multipart/form-data; boundary=edge', 'application/json'])(
    'body, announced as 100 MB of %s, is refused before any of it is sent',
    async (type) => {
      const answer = await server.send(head(`Content-Type: ${type}`, 'Content-Length: 104857600'));
      expectProblem(answer, 413, 'body_too_large');
      expect(answer.headers.get('connection')).toBe('close');
    },
  );

  it('body whose client asks first is refused without 100 Continue', async () => {
    const answer = await server.send(
      head('Content-Type: image/png', 'Content-Length: 104857600', 'Expect: 100-continue'),
    );
    expectProblem(answer, 413, 'body_too_large');
  });

  it.each([
    ['image/png', 'image_too_large'],
    ['multipart/form-data; boundary=edge', 'body_too_large'],
    ['application/json', 'body_too_large'],
  ])('body in chunks without an end, as %s, is %s while it still comes', async (type, code) => {
    const bytes = testLimits.maxBodyBytes + 65_536;
    const start = type.startsWith('multipart')
      ? '--edge\r\nContent-Disposition: form-data; name="images"; filename="a"\r\n\r\n'
      : '';
    const answer = await server.send(
      head(`Content-Type: ${type}`, 'Transfer-Encoding: chunked'),
      `${(start.length + bytes).toString(16)}\r\n${start}`,
      Buffer.alloc(bytes, 'x'),
    );
    expectProblem(answer, 413, code);
  });

  it('image in chunks without an end is refused by multipart at its own limit', async () => {
    const answer = await server.send(
      head('Content-Type: multipart/form-data; boundary=edge', 'Transfer-Encoding: chunked'),
      `${(testLimits.maxBodyBytes - 1).toString(16)}\r\n`,
      '--edge\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n',
      Buffer.alloc(2 * testLimits.maxImageBytes, 'x'),
    );
    expectProblem(answer, 413, 'image_too_large');
  });
});

describe('a body that is not what it says', () => {
  const form = 'Content-Type: multipart/form-data; boundary=edge';
  const disposition = 'Content-Disposition: form-data; name="image"; filename="a.png"';

  it.each([
    ['ends in the middle of a file', `--edge\r\n${disposition}\r\n\r\nabc`],
    ['ends in the middle of a header', '--edge\r\nContent-Dispo'],
    ['has no closing boundary', `--edge\r\n${disposition}\r\n\r\nabc\r\n`],
    ['has another boundary', `--other\r\n${disposition}\r\n\r\nabc\r\n--other--\r\n`],
    ['has a header without a colon', '--edge\r\nnonsense\r\n\r\nabc\r\n--edge--\r\n'],
    ['has a header of 100,000 bytes', `--edge\r\nX: ${'y'.repeat(100_000)}\r\n\r\nabc\r\n--edge--\r\n`],
    ['is no multipart at all', 'hello'],
  ])('is request_malformed where multipart %s', async (_what, body) => {
    const answer = await server.send(head(form, `Content-Length: ${body.length}`), body);
    expectProblem(answer, 400, 'request_malformed');
  });

  it('is request_malformed where multipart names no boundary', async () => {
    expectProblem(await post('--edge--', 'multipart/form-data'), 400, 'request_malformed');
  });

  it('is image_missing where multipart has no parts', async () => {
    expectProblem(await post('--edge--\r\n', 'multipart/form-data; boundary=edge'), 400, 'image_missing');
  });

  it.each([
    '{',
    '',
    'null',
    '[]',
    '"image"',
    '{"image": 5}',
    '{"image": null}',
    '{"images": "AAAA"}',
    '{"images": [{}]}',
    '{"images": [7]}',
  ])('is request_malformed where JSON is %s', async (text) => {
    expectProblem(await postJson(text), 400, 'request_malformed');
  });

  it('is request_malformed where JSON is nested 100,000 deep or not UTF-8', async () => {
    expectProblem(await postJson('['.repeat(100_000)), 400, 'request_malformed');
    expectProblem(await post(Buffer.from([0x7b, 0xff, 0x7d]), 'application/json'), 400, 'request_malformed');
  });

  it.each(['====', 'AAA', 'AA=A', 'AAAA\nAAAA', 'AA-_', 'not base64', 'AAAA='])(
    'is request_malformed where base64 is %j',
    async (text) => {
      expect(expectProblem(await postJson({ image: text }), 400, 'request_malformed')).toMatch(/base64/);
    },
  );

  it('is request_malformed where base64 is a URL, which is never fetched', async () => {
    for (const url of ['data:image/png;base64,AAAA', `${server.url}/healthz`]) {
      expect(expectProblem(await postJson({ image: url }), 400, 'request_malformed')).toMatch(
        /received a URL/,
      );
    }
    expect(server.logged.join('')).not.toContain('/healthz');
  });

  it('is media_type_unsupported where it is compressed, even to a bomb', async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000));
    const answer = await server.ask('/classify', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      body: bomb,
    });
    expect(expectProblem(answer, 415, 'media_type_unsupported')).toMatch(/gzip/);
  });

  it.each([
    'application/x-www-form-urlencoded',
    'text/plain',
    'multipart/mixed; boundary=edge',
    'nonsense',
    '',
  ])('is media_type_unsupported where its type is %j', async (type) => {
    expectProblem(await post('abc', type), 415, 'media_type_unsupported');
  });

  it('is request_malformed where the chunks of HTTP are broken', async () => {
    const answer = await server.send(
      head('Content-Type: image/png', 'Transfer-Encoding: chunked'),
      'not a chunk size\r\nabc\r\n',
    );
    expectProblem(answer, 400, 'request_malformed');
  });
});
