import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { startTestServer, type TestServer } from './test-server.js';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const file = 'Content-Disposition: form-data; name="images"; filename="a"';

const ask = async (body: string): Promise<unknown> => {
  const headers = { 'content-type': 'multipart/form-data; boundary=edge' };
  const answer = await server.ask('/classify', {
    method: 'POST',
    headers,
    body,
    signal: AbortSignal.timeout(2000),
  });
  return [answer.status, answer.body];
};

describe('a form that ends before its body', () => {
  it.each([
    ['an end, then a file that never ends', `--edge--\r\n\r\n--edge\r\n${file}\r\n\r\nabc`],
    [
      'an end, then a file, then another',
      `--edge--\r\n--edge\r\n${file}\r\n\r\na\r\n--edge\r\n${file}\r\n\r\nb`,
    ],
    ['an end and nothing else', '--edge--\r\n'],
    ['an end before any part', '--edge--\r\nmore'],
    ['a preamble, then an end', '--ed\r\n--edge--\r\nmore'],
    ['an end before much more', `--ed\r\n--edge--\r\n${'x'.repeat(5000)}`],
    ['an end before very much more', `--edge--\r\n${'x'.repeat(500_000)}`],
  ])('%s is answered', async (_name, body) => {
    expect(await ask(body)).toMatchObject([
      400,
      { code: expect.stringMatching(/image_missing|request_malformed/) as string },
    ]);
  });
});
