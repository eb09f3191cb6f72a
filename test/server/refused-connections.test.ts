import { once } from 'node:events';
import { connect } from 'node:net';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { expectProblem, startTestServer, type TestServer } from './test-server.js';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.close());

const image = 'POST /classify HTTP/1.1\r\nContent-Type: image/png\r\nContent-Length: 1\r\n';

describe('what never becomes a request of a route', () => {
  it('is refused in words though the client goes on sending', async () => {
    // The client reads nothing before all is written, as most do; the socket's buffers do not hold that much.
    const flood = connect(server.port, '127.0.0.1').setEncoding('latin1').pause();
    let refusal = '';
    flood.on('data', (text: string) => (refusal += text));
    flood.on('error', () => undefined);
    flood.write(`${image}Host: t\r\nX-Long: ${'a'.repeat(16_000_000)}\r\n\r\n`, () => flood.resume());
    await once(flood, 'close');
    expect(refusal).toMatch(/^HTTP\/1\.1 400 Bad Request\r\nContent-Type: application\/problem\+json\r\n/);
    expect(refusal).toContain('Expected headers of at most 16384 bytes');

    const socket = connect(server.port, '127.0.0.1').setEncoding('latin1');
    let received = '';
    socket.on('data', (text: string) => {
      received += text;
      // More of what was refused, in pieces that the parser sees one by one.
      if (!socket.destroyed) socket.write('more\r\n');
    });
    socket.on('error', () => undefined);
    socket.write('nonsense\r\n\r\n');
    await once(socket, 'close');
    expect(received.match(/HTTP\/1\.1 400 Bad Request/g)).toHaveLength(1);
    await server.expectStillServing();
  });

  it('is a CONNECT: this is no proxy', async () => {
    const answer = await server.send('CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n');
    expectProblem(answer, 405, 'method_not_allowed');
  });

  it('is a request without a Host, as RFC 9112 has it', async () => {
    expectProblem(await server.send(`${image}\r\nx`), 400, 'request_malformed');
    expect((await server.send('GET /healthz HTTP/1.0\r\n\r\n')).status).toBe(200);
  });

  it('is not an expectation that nobody knows: it is passed over', async () => {
    const answer = await server.send(`${image}Host: t\r\nExpect: 200-ok\r\n\r\nx`);
    expectProblem(answer, 415, 'image_unsupported');
  });
});
