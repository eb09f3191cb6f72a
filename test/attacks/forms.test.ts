import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { Gathering } from '../../src/server/body.js';
import { drawColour } from '../server/colour-classifier.js';
import { expectProblem, multipart, startTestServer, testLoad, type Answer } from '../server/test-server.js';
import type { TestServer } from '../server/test-server.js';

let server: TestServer;
const red = await drawColour('red');
const limits = { maxImages: 4, maxImageBytes: 1_000_000, maxBodyBytes: 8_000_000 };
beforeAll(async () => {
  server = await startTestServer({ limits, load: testLoad });
});
afterEach(() => server.expectStillServing());
afterAll(() => server.close());

const post = (body: string | Uint8Array, boundary = 'edge'): Promise<Answer> =>
  server.ask('/classify', {
    method: 'POST',
    headers: { 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: Uint8Array.from(Buffer.from(body)),
  });
const part = (headers: string, content = 'x'): string => `--edge\r\n${headers}\r\n\r\n${content}\r\n`;
const file = 'Content-Disposition: form-data; name="images"; filename="a"';

describe('a hostile form', () => {
  it.each<[string, string, number, string]>([
    ['10,000 tiny files', part(file).repeat(10_000), 413, 'too_many_images'],
    ['10,000 parts without a name', part('X: y').repeat(10_000), 413, 'too_many_images'],
    ['10,000 empty file inputs', part(`${file}"; filename=""`).repeat(10_000), 413, 'too_many_images'],
    ['a part header of 1 MB', part(`X: ${'y'.repeat(1_000_000)}`), 400, 'request_malformed'],
    ['300,000 part headers', part('X: y\r\n'.repeat(300_000) + file), 400, 'request_malformed'],
    ['7 MB before its first part', `${'-'.repeat(7_000_000)}\r\n`, 400, 'image_missing'],
    [
      'a text field of 7 MB',
      part('Content-Disposition: form-data; name="image"', 'x'.repeat(7_000_000)),
      400,
      'field_unexpected',
    ],
    ['a name in another charset', part(`${file}; name*=utf-16le''i%00`), 415, 'image_unsupported'],
  ])('with %s is refused', async (_what, body, status, code) => {
    const answer = await post(`${body}--edge--\r\n`);
    if (answer.status === 200) expect(answer.text).toContain(code);
    else expectProblem(answer, status, code);
  });

  it('whose files are forms themselves has files, and no more fields', async () => {
    const inner = multipart([{ name: 'images', filename: 'b', content: red }], 'inner');
    const nested = `${file}\r\nContent-Type: multipart/mixed; boundary=inner`;
    const answer = await post(`${part(nested, inner.toString('latin1'))}--edge--\r\n`);
    expect(answer.body).toMatchObject({ results: [{ error: { code: 'image_unsupported' } }] });
  });

  it('of nearly its boundary, again and again, is read in the time of its length', async () => {
    const boundary = 'a'.repeat(12_000);
    const near = `\r\n--${boundary.slice(1)}b`;
    const started = performance.now();
    const body = `--${boundary}\r\n${file}\r\n\r\n${near.repeat(600)}\r\n--${boundary}--\r\n`;
    expect((await post(body, boundary)).status).toBe(200);
    expect(performance.now() - started).toBeLessThan(5000);
  });
});

describe('a body in a million pieces', () => {
  it('of one byte takes the memory of a million bytes, not of a million buffers', () => {
    const slab = Buffer.from('0123456789'.repeat(100));
    const body = new Gathering();
    const before = process.memoryUsage();
    for (let i = 0; i < 1_000_000; i++) body.add(slab.subarray(i % 1000, (i % 1000) + 1));
    const after = process.memoryUsage();
    // What was copied on the way is not collected yet; as many buffers, kept, would be over 100 MB.
    expect(after.heapUsed + after.external - before.heapUsed - before.external).toBeLessThan(40_000_000);
    expect(body.whole().equals(Buffer.from('0123456789'.repeat(100_000)))).toBe(true);
  });
});
