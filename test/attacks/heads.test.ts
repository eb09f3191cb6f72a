import { afterEach, describe, expect, it } from 'vitest';

import { defaultAllowedHosts } from '../../src/server/request-head.js';
import { expectProblem, startTestServer, type TestServer } from '../server/test-server.js';

let server: TestServer;
afterEach(() => server.close());

const post = (...lines: string[]): string =>
  ['POST /classify HTTP/1.1', 'Content-Type: image/png', ...lines, '', ''].join('\r\n');

describe('a head that two readers could read differently', () => {
  it.each([
    [
      'a Content-Encoding behind 200 other headers',
      post(
        'Host: localhost',
        'Content-Length: 3',
        ...Array.from({ length: 220 }, (_, i) => `X-${i}: y`),
        'Content-Encoding: gzip',
      ) + 'abc',
    ],
    ['two Hosts', post('Host: localhost', 'Host: example.org', 'Content-Length: 3') + 'abc'],
    ['two Hosts that are the same', post('Host: a', 'hOST: a', 'Content-Length: 3') + 'abc'],
    ['a compressed transfer', post('Host: a', 'Transfer-Encoding: gzip, chunked') + '3\r\nabc\r\n0\r\n\r\n'],
    [
      'two transfer codings',
      post('Host: a', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked') + '0\r\n\r\n',
    ],
    ['chunked before another coding', post('Host: a', 'Transfer-Encoding: chunked, gzip') + '0\r\n\r\n'],
    ['a length and chunks', post('Host: a', 'Content-Length: 3', 'Transfer-Encoding: chunked') + '0\r\n\r\n'],
    ['two lengths', post('Host: a', 'Content-Length: 3', 'Content-Length: 4') + 'abcd'],
    ['a length with a sign', post('Host: a', 'Content-Length: +3') + 'abc'],
    ['a space before its colon', post('Host: a', 'Content-Length : 3') + 'abc'],
  ])('is request_malformed: %s', async (_what, bytes) => {
    server = await startTestServer();
    expectProblem(await server.send(bytes), 400, 'request_malformed');
    await server.expectStillServing();
  });
});

describe('a Host that is not of this server', () => {
  const get = (host: string, path = '/healthz'): string => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

  it('is refused by every route, as DNS rebinding would send it', async () => {
    const allowedHosts = defaultAllowedHosts('127.0.0.1', false);
    server = await startTestServer({ allowedHosts });
    for (const path of ['/healthz', '/readyz', '/metrics', '/docs', '/openapi.json', '/', '/none']) {
      expectProblem(await server.send(get('attacker.example', path)), 421, 'host_not_allowed');
    }
    for (const host of [
      '127.0.0.1.attacker.example',
      'localhost.attacker.example:80',
      'x@localhost',
      '',
      '[::2]',
    ]) {
      expectProblem(await server.send(get(host)), 421, 'host_not_allowed');
    }
    for (const host of ['localhost', 'LOCALHOST:80', '127.0.0.1:8080', '[::1]', '[::1]:8080']) {
      expect((await server.send(get(host))).status).toBe(200);
    }
    expect((await server.send('GET /healthz HTTP/1.0\r\n\r\n')).status).toBe(200);
    const classify = 'POST /classify HTTP/1.1\r\nHost: attacker.example\r\nContent-Length: 90000\r\n\r\n';
    expectProblem(await server.send(classify), 421, 'host_not_allowed');
  });

  it('is known only where the server listens on a loopback address and asks for no key', async () => {
    server = await startTestServer();
    expect((await server.send(get('anything.example'))).status).toBe(200);
    expect(defaultAllowedHosts('0.0.0.0', false)).toBeUndefined();
    expect(defaultAllowedHosts('127.0.0.1', true)).toBeUndefined();
    expect(defaultAllowedHosts('::1', false)).toContain('[::1]');
    expect(defaultAllowedHosts('127.0.0.2', false)).toContain('127.0.0.2');
  });
});
